//! Asking what runs which version it is. The answer is compared with what should run, so that an application
//! that is healthy and old is not taken for the new one.

use std::time::Duration;

use semver::Version;

use super::{HttpRequest, World, command, http};
use crate::error::{Error, Result};
use crate::ports::Invocation;
use crate::process::printable;

/// How the version is asked, with all that a profile refers to looked up.
#[derive(Debug, Clone)]
pub enum VersionQuestion {
    /// A field of a JSON answer over HTTP.
    Http {
        /// What is asked.
        request: HttpRequest,
        /// Where in the answer it stands.
        field: String,
    },
    /// A command that prints it; the first version in its output counts.
    Command(Invocation),
}

/// Asks once; `read` finds the version in the answer.
///
/// # Errors
/// `version_unreadable`; what the reporter says; else as a probe would be down.
pub fn ask_version(
    question: &VersionQuestion,
    timeout: Duration,
    world: World<'_>,
    read: &dyn Fn(&str) -> Option<Version>,
) -> Result<Version> {
    world.reporter.check()?;
    let answer = match question {
        VersionQuestion::Http { request, field } => http::fetch(request, timeout).and_then(|answer| {
            answer.expect(200)?;
            answer.field(field)
        }),
        VersionQuestion::Command(invocation) => command::run(invocation, timeout, world).and_then(|done| {
            if done.succeeded() {
                return Ok(done.stdout);
            }
            Err(Error::failed("exit_code", "The command that tells the version failed.")
                .remedy("Run it by hand in the folder of the application and look at what it says.")
                .detail(printable(done.stderr.trim())))
        }),
    };
    world.reporter.check()?;
    let text = answer?;
    read(&text).ok_or_else(|| {
        let shown: String = printable(text.trim()).chars().take(100).collect();
        Error::failed("version_unreadable", format!("The application tells its version as “{shown}”, which is none."))
            .remedy("Check in the profile how the version is asked.")
    })
}

/// The first version in a text: `v1.2.3`, `1.2` (as 1.2.0), `corner-shop 1.2.3-rc.1 (abc)`.
pub fn parse(text: &str) -> Option<Version> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '\'')).find_map(word)
}

fn word(word: &str) -> Option<Version> {
    let bare = word.strip_prefix(['v', 'V']).unwrap_or(word);
    if let Ok(version) = Version::parse(bare) {
        return Some(version);
    }
    // Two numbers are often written where three are meant; one alone could be anything.
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    if numbers.matches('.').count() != 1 {
        return None;
    }
    Version::parse(&format!("{numbers}.0{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_people_write_them() {
        let read = |text: &str| parse(text).map(|it| it.to_string());
        for (text, version) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3\n", "1.2.3"),
            ("corner-shop 1.4.0-rc.1 (build 5)", "1.4.0-rc.1"),
            ("1.2", "1.2.0"),
            ("V2.0+abc", "2.0.0+abc"),
        ] {
            assert_eq!(read(text).as_deref(), Some(version), "{text}");
        }
        for text in ["", "7", "unknown", "1.2.3.4", "1.x", "version one"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
