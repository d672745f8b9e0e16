//! The way from one version to another: over required stops, and never by a jump that its makers forbid.
//!
//! A pure function of versions and rules. Absent on purpose: whether a release is fit to be installed at all; only
//! those that are get in.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::Serialize;

/// A jump that is not allowed: whoever runs `from` may not go to `to` without a version between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotDirectly {
    /// Versions to come from, such as `<1.7.0`.
    #[schemars(with = "String")]
    pub from: VersionReq,
    /// Versions to go to, such as `>=2.0.0`.
    #[schemars(with = "String")]
    pub to: VersionReq,
}

impl NotDirectly {
    fn forbids(&self, from: &Version, to: &Version) -> bool {
        self.from.matches(&finished(from)) && self.to.matches(&finished(to))
    }
}

/// A requirement speaks of finished releases; a pre-release is on the same side of it as what it becomes.
fn finished(version: &Version) -> Version {
    Version::new(version.major, version.minor, version.patch)
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPath {
    /// A version that must be installed on the way is not out, or cannot be installed.
    StopMissing(Version),
    /// Every jump from the first of these towards the second is forbidden.
    Forbidden(Version, Version),
}

/// The versions to install one after the other, the last of them `to`: as few as the rules allow, and among equals
/// the newest first.
///
/// # Errors
/// There is no such way.
pub fn path(
    from: &Version,
    to: &Version,
    out: &[Version],
    stops: &[Version],
    not_directly: &[NotDirectly],
) -> Result<Vec<Version>, NoPath> {
    let mut on_the_way: Vec<&Version> = stops.iter().filter(|it| *it > from && *it < to).collect();
    on_the_way.sort_unstable();
    on_the_way.dedup();
    if let Some(missing) = on_the_way.iter().find(|it| !out.contains(it)) {
        return Err(NoPath::StopMissing((**missing).clone()));
    }
    let mut way = Vec::new();
    let mut at = from;
    for stop in on_the_way.into_iter().chain([to]) {
        way.extend(shortest(at, stop, out, not_directly)?);
        at = stop;
    }
    Ok(way)
}

/// Breadth first, from the newest version down, so that the first way found is the shortest and the newest.
fn shortest(
    from: &Version,
    to: &Version,
    out: &[Version],
    not_directly: &[NotDirectly],
) -> Result<Vec<Version>, NoPath> {
    let may = |from: &Version, to: &Version| !not_directly.iter().any(|it| it.forbids(from, to));
    let mut between: Vec<&Version> = out.iter().filter(|it| *it > from && *it < to && it.pre.is_empty()).collect();
    between.sort_unstable_by(|one, other| other.cmp(one));
    between.insert(0, to);
    let mut came_from: BTreeMap<&Version, &Version> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(at) = open.pop_front() {
        for next in between.iter().filter(|it| ***it > *at) {
            if came_from.contains_key(*next) || !may(at, next) {
                continue;
            }
            came_from.insert(next, at);
            if *next == to {
                let mut way = vec![to.clone()];
                let mut back = at;
                while back != from {
                    way.push(back.clone());
                    back = came_from[back];
                }
                way.reverse();
                return Ok(way);
            }
            open.push_back(next);
        }
    }
    Err(NoPath::Forbidden(from.clone(), to.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(texts: &[&str]) -> Vec<Version> {
        texts.iter().map(|it| it.parse().unwrap()).collect()
    }

    fn way(from: &str, to: &str, out: &[&str], stops: &[&str], rules: &[(&str, &str)]) -> String {
        let rules: Vec<_> = rules
            .iter()
            .map(|(from, to)| NotDirectly { from: from.parse().unwrap(), to: to.parse().unwrap() })
            .collect();
        let found = path(&from.parse().unwrap(), &to.parse().unwrap(), &versions(out), &versions(stops), &rules);
        match found {
            Ok(way) => way.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → "),
            Err(NoPath::StopMissing(stop)) => format!("{stop} is missing"),
            Err(NoPath::Forbidden(from, to)) => format!("no way from {from} to {to}"),
        }
    }

    const OUT: &[&str] = &["1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0", "2.0.0-rc.1", "2.0.0", "2.1.0"];

    /// From, to, required stops, forbidden jumps, and the way.
    type Row<'r> = (&'r str, &'r str, &'r [&'r str], &'r [(&'r str, &'r str)], &'r str);

    #[test]
    fn every_rule_has_its_row() {
        let table: &[Row<'_>] = &[
            ("1.4.0", "2.0.0", &[], &[], "2.0.0"),
            ("1.4.0", "2.0.0", &["1.7.0"], &[], "1.7.0 → 2.0.0"),
            ("1.4.0", "2.0.0", &["1.7.0", "1.5.0", "1.7.0"], &[], "1.5.0 → 1.7.0 → 2.0.0"),
            // Stops at either end, behind and ahead are none.
            ("1.7.0", "2.0.0", &["1.7.0"], &[], "2.0.0"),
            ("1.4.0", "1.7.0", &["1.7.0"], &[], "1.7.0"),
            ("1.8.0", "2.1.0", &["1.7.0", "2.1.0"], &[], "2.1.0"),
            ("1.4.0", "2.0.0", &["1.6.5"], &[], "1.6.5 is missing"),
            // Only the newest version that may go on is taken.
            ("1.4.0", "2.0.0", &[], &[("<1.7.0", ">=2.0.0")], "1.8.0 → 2.0.0"),
            ("1.7.0", "2.0.0", &[], &[("<1.7.0", ">=2.0.0")], "2.0.0"),
            ("1.4.0", "2.1.0", &[], &[("<1.7.0", ">=1.8.0"), ("<2.0.0", ">=2.1.0")], "1.7.0 → 2.0.0 → 2.1.0"),
            ("1.4.0", "2.0.0", &["1.5.0"], &[("<1.7.0", ">=2.0.0")], "1.5.0 → 1.8.0 → 2.0.0"),
            ("1.4.0", "2.0.0", &[], &[("*", ">=2.0.0")], "no way from 1.4.0 to 2.0.0"),
            // A pre-release is on the side of what it becomes, and is never a stop that nobody asked for.
            ("1.4.0", "2.0.0-rc.1", &[], &[("<1.7.0", ">=2.0.0")], "1.8.0 → 2.0.0-rc.1"),
            ("2.0.0-rc.1", "2.0.0", &[], &[("<2.0.0", ">=2.0.0")], "2.0.0"),
        ];
        for (from, to, stops, rules, expected) in table {
            assert_eq!(way(from, to, OUT, stops, rules), *expected, "{from} to {to} over {stops:?} under {rules:?}");
        }
    }
}
