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

/// `feat!: …` or `fix(api)!: …`.
fn is_marked_commit(line: &str) -> bool {
    let Some((kind, _)) = line.split_once("!:") else { return false };
    let word = kind.split('(').next().unwrap_or_default();
    !word.is_empty() && word.chars().all(|it| it.is_ascii_lowercase()) && (!kind.contains('(') || kind.ends_with(')'))
}

#[cfg(test)]
mod tests {
    use super::speak_of_breaking;

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
}
