//! What release notes give away by themselves.

/// Whether notes speak of breaking changes: in a heading, as a conventional footer, or as `feat!:`.
///
/// A hint for the banner. Sentences are not read, because "no breaking changes" is what most of them say.
pub(super) fn speak_of_breaking(notes: &str) -> bool {
    notes.lines().map(str::trim).any(|line| {
        let plain = line.trim_start_matches(['#', '*', '-', '>', ' ', '_']);
        let is_heading = line.starts_with('#') || line.starts_with("**");
        let lower = plain.to_ascii_lowercase();
        line.contains("BREAKING CHANGE:")
            || line.contains("BREAKING-CHANGE:")
            || is_marked_commit(plain)
            || (is_heading
                && lower.contains("breaking")
                && !["no ", "non-", "not "].iter().any(|it| lower.contains(it)))
    })
}

/// Whether notes say that a security hole is closed: in a heading, or by the hole's public name.
pub(super) fn speak_of_security(notes: &str) -> bool {
    notes.lines().map(str::trim).any(|line| {
        let lower = line.to_ascii_lowercase();
        let is_heading = line.starts_with('#') || line.starts_with("**");
        (is_heading && lower.contains("security") && !["no ", "non-", "not "].iter().any(|it| lower.contains(it)))
            || names_a_hole(line)
    })
}

/// `CVE-2026-12345` or `GHSA-abcd-ef01-2345`.
fn names_a_hole(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    let words = upper.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
    words.into_iter().any(|word| {
        let mut parts = word.split('-');
        match parts.next() {
            Some("CVE") => {
                let rest: Vec<&str> = parts.collect();
                let is_number = |it: &&str| it.len() >= 4 && it.chars().all(|it| it.is_ascii_digit());
                rest.len() == 2 && rest.iter().all(is_number)
            }
            Some("GHSA") => parts.filter(|it| it.len() == 4).count() == 3,
            _ => false,
        }
    })
}

/// The first thing that notes say, in one plain line.
pub(super) fn headline(notes: &str) -> Option<String> {
    let line = notes.lines().map(str::trim).find(|line| {
        !line.is_empty()
            && !line.starts_with(['#', '<', '|', '!', '>'])
            && !line.starts_with("---")
            && !line.starts_with("**")
    })?;
    let plain = line.trim_start_matches(['*', '-', '+', ' ']).replace(['`', '*', '_'], "");
    let plain = plain.trim();
    (!plain.is_empty()).then(|| {
        if plain.chars().count() <= 120 {
            plain.to_owned()
        } else {
            format!("{}…", plain.chars().take(119).collect::<String>())
        }
    })
}

/// `feat!: …` or `fix(api)!: …`.
fn is_marked_commit(line: &str) -> bool {
    let Some((kind, _)) = line.split_once("!:") else { return false };
    let word = kind.split('(').next().unwrap_or_default();
    !word.is_empty() && word.chars().all(|it| it.is_ascii_lowercase()) && (!kind.contains('(') || kind.ends_with(')'))
}

#[cfg(test)]
mod tests {
    use super::{headline, speak_of_breaking, speak_of_security};

    #[test]
    fn breaking_changes_are_seen_where_publishers_announce_them() {
        for notes in [
            "# 2.0\n## Breaking changes\n- x",
            "## ⚠ BREAKING CHANGES",
            "**Breaking:** x",
            "BREAKING CHANGE: x",
            "* feat!: drop x",
            "- fix(api)!: y",
        ] {
            assert!(speak_of_breaking(notes), "{notes}");
        }
        for notes in [
            "",
            "There are no breaking changes.",
            "## No breaking changes",
            "## Non-breaking",
            "Great!: yes",
            "breaking news",
        ] {
            assert!(!speak_of_breaking(notes), "{notes}");
        }
    }

    #[test]
    fn security_is_seen_in_headings_and_by_the_names_of_holes() {
        for notes in ["### Security\n- x", "## 🔒 Security fixes", "- fixes CVE-2026-12345", "see ghsa-abcd-ef01-2345."]
        {
            assert!(speak_of_security(notes), "{notes}");
        }
        for notes in
            ["", "Improves security of the door.", "## No security fixes", "CVE-2026", "GHSA-1", "CVE-20-12345"]
        {
            assert!(!speak_of_security(notes), "{notes}");
        }
    }

    #[test]
    fn the_headline_is_the_first_thing_that_is_said() {
        assert_eq!(headline("## New\n\n- **Every** `order` says it.\n- More").as_deref(), Some("Every order says it."));
        assert_eq!(headline("# 1.0\n<img src=x>\n"), None);
        assert_eq!(headline(&"é".repeat(200)).unwrap().chars().count(), 120);
    }
}
