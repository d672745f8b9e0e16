//! `profile check|list|show|schema`.

use liftlock_engine::Result;
use liftlock_engine::model::profile::Profile;
use liftlock_engine::profiles;
use serde_json::json;

use crate::args::ProfileCommand;
use crate::screen::{Line, Screen, Style};

pub(crate) fn run(screen: &Screen, command: &ProfileCommand) -> Result<u8> {
    match command {
        ProfileCommand::Check { profile } => return check(screen, profile),
        ProfileCommand::List => {
            let ids: Vec<_> = profiles::built_in().iter().map(|(id, _)| *id).collect();
            if screen.json {
                screen.document(&json!({ "profiles": ids }));
            } else {
                ids.iter().for_each(|it| screen.line(*it));
            }
        }
        ProfileCommand::Show { profile } => {
            let text = profiles::text_of(profile)?;
            if screen.json {
                screen.document(&json!({ "profile": profile, "text": text }));
            } else {
                screen.paragraph("", &text);
            }
        }
        // It is a JSON document already.
        ProfileCommand::Schema => screen.raw(&Profile::published_schema()?),
    }
    Ok(0)
}

/// Exit code 2 where there is a mistake, as for every command that is given such a profile.
fn check(screen: &Screen, profile: &str) -> Result<u8> {
    let checked = Profile::check(&profiles::text_of(profile)?);
    let good = checked.mistakes.is_empty();
    if screen.json {
        screen.document(&json!({
            "profile": profile,
            "valid": good,
            "mistakes": checked.mistakes,
            "warnings": checked.warnings,
        }));
        return Ok(if good { 0 } else { 2 });
    }
    let finding = |style, line: usize, column: usize, reason: &str, remedy: &str| {
        screen.line(Line::new(style, format!("{profile}:{line}:{column}: ")).and(Style::Plain, reason));
        screen.paragraph("  → ", remedy);
    };
    for it in &checked.mistakes {
        finding(Style::Danger, it.line, it.column, &it.reason, &it.remedy);
    }
    for it in &checked.warnings {
        finding(Style::Warn, it.line, it.column, &format!("(legal) {}", it.reason), &it.remedy);
    }
    match checked.mistakes.len() {
        0 => screen.note(Line::new(Style::Good, "This profile can be used.")),
        1 => screen.note("1 mistake; this profile cannot be used."),
        many => screen.note(format!("{many} mistakes; this profile cannot be used.")),
    }
    Ok(if good { 0 } else { 2 })
}
