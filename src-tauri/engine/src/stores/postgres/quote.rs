//! Names and values inside SQL text. Every statement of this store is put together with these two functions
//! and fixed words only.

/// A name, quoted so that the server takes it as it is, with capitals, spaces, quotes and all.
///
/// ```
/// # use liftlock_engine::stores::postgres::quote::ident;
/// assert_eq!(ident(r#"Order "lines""#), r#""Order ""lines""""#);
/// ```
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as a string literal, right whatever `standard_conforming_strings` says.
///
/// ```
/// # use liftlock_engine::stores::postgres::quote::literal;
/// assert_eq!(literal("it's"), "'it''s'");
/// assert_eq!(literal(r"a\b"), r" E'a\\b'");
/// ```
pub fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    // The space keeps the E apart from a word before it.
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A value of a connection string (`key='value'`).
pub(super) fn conninfo(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A field of a passfile, in which colons part the fields.
pub(super) fn passfile(value: &str) -> String {
    value.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a literal as the server does, with `standard_conforming_strings` on.
    fn read(literal: &str) -> Option<String> {
        let literal = literal.trim_start();
        let (escapes, body) = match literal.strip_prefix('E') {
            Some(rest) => (true, rest),
            None => (false, literal),
        };
        let body = body.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut out = String::new();
        let mut chars = body.chars();
        while let Some(next) = chars.next() {
            match next {
                '\'' => out.push(chars.next().filter(|it| *it == '\'')?),
                '\\' if escapes => out.push(chars.next().filter(|it| *it == '\\')?),
                other => out.push(other),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_literal_reads_back_as_what_it_was(value in r"[\x01-\u{10ffff}]{0,40}|['\\ E:a]{0,20}") {
            prop_assert_eq!(read(&literal(&value)), Some(value));
        }

        #[test]
        fn a_name_ends_only_at_its_own_end(name in r#"["\\'a ;]{0,20}"#) {
            let quoted = ident(&name);
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert!(inner.replace("\"\"", "").chars().all(|it| it != '"'));
            prop_assert_eq!(inner.replace("\"\"", "\""), name);
        }
    }
}
