//! What is in it for a person: release notes taken apart into what breaks, what is closed, what is new and what is
//! fixed. A pure function of text.
//!
//! Headings decide (Keep a Changelog, GitHub's own, those of release bots), then the words of conventional commits;
//! whatever neither knows stays as it was written. Nothing is left out: every line is in one of the parts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Release notes, taken apart. The texts are Markdown by strangers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// What needs something from those who run it.
    pub breaking: Vec<String>,
    /// Closed security holes.
    pub security: Vec<String>,
    /// What it could not do before.
    pub new: Vec<String>,
    /// What works again, or better.
    pub fixed: Vec<String>,
    /// Everything else, as written.
    pub other: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Breaking,
    Security,
    New,
    Fixed,
    Other,
}

impl Changes {
    /// Takes notes apart.
    pub fn of(notes: &str) -> Self {
        let mut changes = Self::default();
        let mut part = Part::Other;
        let mut heading: Option<&str> = None;
        let mut in_code = false;
        // The item that the next lines may belong to.
        let mut open: Option<Part> = None;
        for line in notes.lines() {
            let trimmed = line.trim();
            in_code ^= trimmed.starts_with("```");
            if let Some(text) = heading_of(trimmed).filter(|_| !in_code) {
                part = part_of_heading(text);
                heading = Some(line).filter(|_| part == Part::Other);
                open = None;
                continue;
            }
            if let Some(text) = item_of(line).filter(|_| !in_code) {
                let of_commit = part_of_commit(text);
                // Under a heading of its own an item stays, save that what breaks is never hidden among what is new.
                let to = match (part, of_commit) {
                    (Part::Other, Some(found)) | (_, Some(found @ Part::Breaking)) => found,
                    (under, _) => under,
                };
                if let Some(list) = changes.list(to) {
                    list.push(text.to_owned());
                    open = Some(to);
                    continue;
                }
            } else if let Some(item) = open.and_then(|it| changes.list(it)).and_then(|it| it.last_mut())
                && line.starts_with(' ')
                && !trimmed.is_empty()
            {
                item.push('\n');
                item.push_str(trimmed);
                continue;
            }
            open = None;
            if let Some(list) = changes.list(part) {
                // A sentence under a heading says as much as an item.
                if !trimmed.is_empty() {
                    list.push(trimmed.to_owned());
                }
                continue;
            }
            if let Some(heading) = heading.take_if(|_| !trimmed.is_empty()) {
                changes.write(heading);
            }
            changes.write(line);
        }
        changes.other = changes.other.trim().to_owned();
        changes
    }

    fn list(&mut self, part: Part) -> Option<&mut Vec<String>> {
        match part {
            Part::Breaking => Some(&mut self.breaking),
            Part::Security => Some(&mut self.security),
            Part::New => Some(&mut self.new),
            Part::Fixed => Some(&mut self.fixed),
            Part::Other => None,
        }
    }

    fn write(&mut self, line: &str) {
        self.other.push_str(line);
        self.other.push('\n');
    }
}

/// The text of a heading: `## New`, `**New**`, `### 🐛 Bug fixes`.
fn heading_of(line: &str) -> Option<&str> {
    let hashes = line.len() - line.trim_start_matches('#').len();
    if (1..=6).contains(&hashes) && line[hashes..].starts_with(' ') {
        return Some(line[hashes..].trim());
    }
    line.strip_prefix("**")?.strip_suffix("**").map(|it| it.trim_end_matches(':')).filter(|it| !it.contains("**"))
}

fn part_of_heading(text: &str) -> Part {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|it| lower.contains(it));
    // "No breaking changes" announces none.
    if has(&["no ", "non-"]) {
        return Part::Other;
    }
    if has(&["breaking", "removed", "upgrade note", "migration"]) {
        Part::Breaking
    } else if has(&["security", "vulnerab"]) {
        Part::Security
    } else if has(&["fix", "bug"]) {
        Part::Fixed
    } else if has(&["added", "feature", "new", "enhancement", "improve"]) && !has(&["new contributor"]) {
        Part::New
    } else {
        Part::Other
    }
}

/// The text of an item at the left edge.
fn item_of(line: &str) -> Option<&str> {
    ["- ", "* ", "+ "].iter().find_map(|it| line.strip_prefix(it)).map(str::trim).filter(|it| !it.is_empty())
}

/// What a conventional commit is: `feat: …`, `fix(api): …`, `feat!: …`.
fn part_of_commit(text: &str) -> Option<Part> {
    let plain = text.trim_start_matches(['*', '_', '`']);
    if plain.starts_with("BREAKING") || plain.to_ascii_lowercase().starts_with("breaking:") {
        return Some(Part::Breaking);
    }
    let (kind, _) = plain.split_once(':')?;
    let kind = kind.trim_end_matches(['*', '_', '`']);
    let bare = kind.trim_end_matches('!');
    let word = bare.split('(').next().unwrap_or_default();
    if !word.chars().all(|it| it.is_ascii_lowercase()) || (bare.contains('(') && !bare.ends_with(')')) {
        return None;
    }
    match word {
        "feat" | "fix" | "perf" | "refactor" | "chore" | "security" if kind.ends_with('!') => Some(Part::Breaking),
        "feat" => Some(Part::New),
        "fix" | "perf" => Some(Part::Fixed),
        "security" => Some(Part::Security),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_is_taken_apart_by_its_headings() {
        let changes = Changes::of(
            "Thanks to all.\n\n## Added\n- Deliveries,\n  with prices\n- `feat!: orders` need a channel\n\n### Fixed\n* A door\n\
             A window too.\n\n### Security\n- CVE-2026-12345\n\n## Removed\n- The old page\n\n## New Contributors\n- @somebody\n",
        );
        assert_eq!(changes.new, ["Deliveries,\nwith prices"]);
        assert_eq!(
            changes.breaking,
            ["`feat!: orders` need a channel", "The old page"],
            "never hidden among what is new"
        );
        assert_eq!(changes.fixed, ["A door", "A window too."]);
        assert_eq!(changes.security, ["CVE-2026-12345"]);
        assert_eq!(changes.other, "Thanks to all.\n\n## New Contributors\n- @somebody");
    }

    #[test]
    fn a_list_of_commits_is_taken_apart_by_its_words() {
        let changes = Changes::of(
            "## What's Changed\n* feat: doors by @a in #1\n* fix(api): hinges\n* feat(ui)!: no windows\n* chore: dust\n* A plain line: so\n",
        );
        assert_eq!(changes.new, ["feat: doors by @a in #1"]);
        assert_eq!(changes.fixed, ["fix(api): hinges"]);
        assert_eq!(changes.breaking, ["feat(ui)!: no windows"]);
        assert_eq!(changes.other, "## What's Changed\n* chore: dust\n* A plain line: so");
    }

    #[test]
    fn what_nobody_knows_stays_as_it_was_written() {
        for notes in
            ["", "Just a sentence.", "```\n## Fixed\n- in code\n```", "## No breaking changes\n- none", "####### x"]
        {
            let changes = Changes::of(notes);
            assert_eq!(changes, Changes { other: notes.to_owned(), ..Changes::default() }, "{notes:?}");
        }
    }
}
