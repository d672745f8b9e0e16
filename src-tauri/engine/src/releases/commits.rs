//! The commits of a branch as versions, so that they can be compared with what is released.
//!
//! As Go does for its modules: the commit after the tag of 1.4.0 is `1.4.1-0.<time>-<commit>`, after 1.5.0-rc.1 it is
//! `1.5.0-rc.1.0.<time>-<commit>`, and before any tag `0.0.0-<time>-<commit>`. So a commit is newer than what was tagged
//! before it, older than what is tagged next, and commits come in the order of their branch. A commit that bears a tag has the
//! version of the tag.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use semver::Version;

use super::{Source, wire::WireRelease};

/// How much of a commit's name stands in a version.
const NAME: usize = 12;

/// Commits, newest first, as releases with a tag that the source's pattern reads. `tags` are those of the repository.
///
/// Of commits with one time, as a rebase leaves them, only the newest is a version: they could not be told apart.
pub(super) fn versions(source: &Source, tags: &[WireRelease], commits: Vec<WireRelease>) -> Vec<WireRelease> {
    let mut tagged: HashMap<&str, Version> = HashMap::new();
    let mut base: Option<Version> = None;
    for (commit, version) in tags.iter().filter_map(|it| Some((commit_of(it)?, source.tag.version(&it.tag_name).ok()?)))
    {
        // One commit may bear several.
        let known = tagged.entry(commit).or_insert_with(|| version.clone());
        *known = version.max(known.clone());
    }
    let listed: std::collections::HashSet<&str> = commits.iter().filter_map(commit_of).collect();
    for (_, version) in tagged.iter().filter(|(commit, _)| !listed.contains(*commit)) {
        base = base.max(Some(version.clone()));
    }
    let mut made: Vec<WireRelease> = Vec::new();
    let mut times: Vec<DateTime<Utc>> = Vec::new();
    // From the oldest on, so that each stands on the tags before it.
    for mut commit in commits.iter().rev().cloned() {
        let (Some(name), Some(at)) = (commit_of(&commit).map(str::to_owned), time_of(&commit)) else { continue };
        let version = match tagged.get(name.as_str()) {
            Some(version) => {
                base = base.max(Some(version.clone()));
                Some(version.clone())
            }
            None => pseudo(base.as_ref(), at, &name),
        };
        let Some(version) = version else { continue };
        // What a later commit overtakes is no version of its own.
        while times.last().is_some_and(|it| *it >= at) && !is_tagged(made.last(), &tagged) {
            times.pop();
            made.pop();
        }
        commit.tag_name = source.tag.tag(&version);
        times.push(at);
        made.push(commit);
    }
    made.reverse();
    made
}

/// The version of a commit after `base`.
fn pseudo(base: Option<&Version>, at: DateTime<Utc>, name: &str) -> Option<Version> {
    let stamp = format!("{}-{}", at.format("%Y%m%d%H%M%S"), name.get(..NAME)?);
    let text = match base {
        None => format!("0.0.0-{stamp}"),
        Some(it) if it.pre.is_empty() => {
            format!("{}.{}.{}-0.{stamp}", it.major, it.minor, it.patch.checked_add(1)?)
        }
        Some(it) => format!("{}.{}.{}-{}.0.{stamp}", it.major, it.minor, it.patch, it.pre),
    };
    Version::parse(&text).ok()
}

fn is_tagged(release: Option<&WireRelease>, tagged: &HashMap<&str, Version>) -> bool {
    release.and_then(commit_of).is_some_and(|it| tagged.contains_key(it))
}

fn commit_of(release: &WireRelease) -> Option<&str> {
    release.target_commitish.as_deref().filter(|it| super::wire::is_commit(it))
}

fn time_of(release: &WireRelease) -> Option<DateTime<Utc>> {
    release.published_at.as_deref()?.parse().ok()
}

/// The name of a commit that a text tells, such as `shop 1.4.0 (1f0c2ab)`.
pub(crate) fn named_in(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |it: &&str| (7..=64).contains(&it.len()) && it.chars().all(|it| it.is_ascii_hexdigit());
    text.split(|it: char| !it.is_ascii_alphanumeric()).filter(is_name)
}

/// Whether a version is that of this commit.
pub(crate) fn is_of(version: &Version, commit: &str) -> bool {
    let end = version.pre.as_str().rsplit('-').next().unwrap_or_default();
    let commit = commit.to_ascii_lowercase();
    end.len() == NAME && (end.starts_with(&commit) || commit.starts_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(rows: &[(&str, &str, &str)]) -> Vec<WireRelease> {
        let at = |it: &str| Some(format!("2026-11-{it}:00Z")).filter(|it| it.len() > 12);
        rows.iter()
            .map(|(name, commit, day)| WireRelease::bare((*name).into(), commit.repeat(40), at(day), None))
            .collect()
    }

    fn made(tags: &[(&str, &str)], commits: &[(&str, &str)]) -> Vec<String> {
        let source = Source::new("https://example.org", "acme/shop", "a-{version}.zip".parse().unwrap());
        let tags: Vec<_> = tags.iter().map(|(name, commit)| (*name, *commit, "")).collect();
        let commits: Vec<_> = commits.iter().map(|(commit, at)| ("", *commit, *at)).collect();
        let made = versions(&source, &listed(&tags), listed(&commits));
        let versions: Vec<Version> = made.iter().map(|it| source.tag.version(&it.tag_name).unwrap()).collect();
        assert!(versions.is_sorted_by(|one, other| one > other), "{versions:?}");
        versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_commit_is_newer_than_the_tag_before_it_and_older_than_the_next() {
        assert_eq!(
            made(
                &[("v1.4.0", "b"), ("v1.5.0-rc.1", "d"), ("odd", "e"), ("v1.3.9", "9")],
                &[("e", "05T10:00"), ("d", "04T10:00"), ("c", "03T10:00"), ("b", "02T10:00"), ("a", "01T10:00")],
            ),
            [
                "1.5.0-rc.1.0.20261105100000-eeeeeeeeeeee",
                "1.5.0-rc.1",
                "1.4.1-0.20261103100000-cccccccccccc",
                "1.4.0",
                "1.3.10-0.20261101100000-aaaaaaaaaaaa",
            ]
        );
        assert_eq!(made(&[], &[("a", "01T10:00")]), ["0.0.0-20261101100000-aaaaaaaaaaaa"]);
    }

    #[test]
    fn of_commits_with_one_time_the_newest_counts() {
        let rebased = [("d", "03T10:00"), ("c", "03T10:00"), ("b", "04T10:00"), ("a", "01T10:00")];
        assert_eq!(made(&[], &rebased), ["0.0.0-20261103100000-dddddddddddd", "0.0.0-20261101100000-aaaaaaaaaaaa"]);
    }

    #[test]
    fn a_commit_is_found_in_what_an_application_says() {
        let found = |text| named_in(text).collect::<Vec<_>>();
        assert_eq!(found("shop 1.4.0 (1f0c2ab)"), ["1f0c2ab"]);
        assert_eq!(found("1.4.0"), Vec::<&str>::new());
        let version = "1.4.1-0.20261103100000-cccccccccccc".parse().unwrap();
        assert!(is_of(&version, "ccccccc") && is_of(&version, &"C".repeat(40)));
        assert!(!is_of(&version, "ccccccd") && !is_of(&"1.4.1".parse().unwrap(), "ccccccc"));
    }
}
