//! The comparison itself, one kind of difference a function.

use std::collections::{BTreeMap, BTreeSet};

use super::database::major_of;
use super::project::{Mount, Project, Service};
use super::variables::{Without, filled};
use super::{Difference, Question, Sides};
use crate::model::finding::{Finding, Severity, most_severe_first};

/// Lays the documents side by side.
pub fn compare(sides: &Sides<'_>) -> Difference {
    let mut difference = Difference::default();
    missing_settings(sides, &mut difference);
    let findings = &mut difference.findings;
    databases(sides, findings);
    volumes(sides, findings);
    services(sides, findings);
    ports(sides, findings);
    most_severe_first(findings);
    difference
}

/// What the release refers to or offers, has no value of its own, and is not set.
fn missing_settings(sides: &Sides<'_>, difference: &mut Difference) {
    let offered = example(sides.example);
    let mut needed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for (name, references) in &sides.after.variables {
        let refused = references.iter().find_map(|it| match &it.without {
            Without::Refused(words) => Some(words.as_str()),
            _ => None,
        });
        let is_bare = references.iter().any(|it| it.without == Without::Nothing);
        // One that was already empty before is not this release's doing.
        let was_bare = [sides.before, sides.mine].iter().any(|it| it.variables.contains_key(name));
        if refused.is_some() || (is_bare && !was_bare) {
            needed.insert(name, refused.filter(|it| !it.is_empty()));
        }
    }
    let is_set = |name: &str| sides.settings.get(name).is_some_and(|it| !it.is_empty());
    for (name, words) in needed.into_iter().filter(|(name, _)| !is_set(name)) {
        let offer = offered.iter().find(|it| it.name == name);
        let why = words.map(str::to_owned).or_else(|| offer.and_then(|it| it.comment.clone()));
        let default = offer.map(|it| it.value.clone()).filter(|it| !it.is_empty());
        difference.questions.push(Question { name: name.to_owned(), why, default });
    }
}

/// A line of an example of settings, with the comment right before it.
struct Offered {
    name: String,
    value: String,
    comment: Option<String>,
}

fn example(text: &str) -> Vec<Offered> {
    let mut offered = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some((name, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            let said = comment.join(" ");
            offered.push(Offered { name: name.trim().to_owned(), value, comment: (!said.is_empty()).then_some(said) });
            comment.clear();
        } else {
            comment.clear();
        }
    }
    offered
}

/// The major versions of a database before and after, where they differ.
fn other_major(sides: &Sides<'_>, mine: &Service, after: &Service) -> Option<(u32, u32)> {
    let major = |service: &Service| major_of(&filled(service.image.as_deref()?, sides.settings));
    let both = (major(mine)?, major(after)?);
    (both.0 != both.1).then_some(both)
}

/// The data folder of one major version is never opened by another.
fn databases(sides: &Sides<'_>, findings: &mut Vec<Finding>) {
    for (name, mine, after) in both(sides) {
        let Some((from, to)) = other_major(sides, mine, after) else { continue };
        findings.push(if sides.is_taken_over {
            Finding::new(
                Severity::Stop,
                if to > from { "database_major" } else { "database_older" },
                format!("The new version brings PostgreSQL {to} for the service {name}, and your data is of PostgreSQL {from}: it would not start."),
                if to > from {
                    format!(
                        "Say `liftlock move-data`: your data is made anew by PostgreSQL {to} on a volume of its own and compared row by row, \
                         and the application is away meanwhile. The old volume is kept. Then update."
                    )
                } else {
                    format!(
                        "PostgreSQL {to} does not read what PostgreSQL {from} writes down, and Liftlock does not move it: do it by hand \
                         with PostgreSQL's own tools, or stay at the version that is in use."
                    )
                },
            )
        } else {
            Finding::new(
                Severity::Warning,
                "database_major",
                format!("The makers of the new version run it with PostgreSQL {to}; your service {name} stays at PostgreSQL {from}."),
                "Read in the release notes whether the new version still works with yours. The rehearsal shows whether its migrations do.",
            )
        });
    }
}

/// A folder of a container that lasts, and stands on something else afterwards.
fn volumes(sides: &Sides<'_>, findings: &mut Vec<Finding>) {
    for (name, mine, after) in both(sides) {
        // Who moves it there gives it a volume and a folder of its own.
        if sides.is_taken_over && other_major(sides, mine, after).is_some() {
            continue;
        }
        for (target, mount) in mine.mounts.iter().filter(|(_, it)| **it != Mount::Passing) {
            let to = after.mounts.get(target).filter(|it| **it != Mount::Passing);
            if to.is_some_and(|to| stands_on(sides.mine, mount, sides) == stands_on(sides.after, to, sides)) {
                continue;
            }
            // Where the user goes another way than the makers, and the makers go on as before, there is nothing to say.
            let at =
                |project: &Project| Some(stands_on(project, project.services.get(name)?.mounts.get(target)?, sides));
            if !sides.is_taken_over && at(sides.before).is_some_and(|it| at(sides.after) == Some(it)) {
                continue;
            }
            // The same volume at another folder, as with PostgreSQL 18.
            let is_new = |place: &String| mine.mounts.get(place).is_none_or(|it| *it == Mount::Passing);
            let moved = after.mounts.iter().find(|(place, it)| *it == mount && is_new(place)).map(|(place, _)| place);
            let from = source(mount);
            let what = match (to, moved) {
                (_, Some(place)) => format!("{from} is mounted at {place} instead of {target}"),
                (Some(to), None) if to != mount => format!("{target} stands on {} instead of {from}", source(to)),
                (Some(_), None) => format!("{from} bears another name for Docker"),
                (None, None) => format!("{from} is not mounted at {target} any more"),
            };
            let is_renamed = to.is_some_and(|to| rename(sides, mount, to).is_some());
            findings.push(match (sides.is_taken_over, is_renamed) {
                (true, true) => renamed(name, &what),
                (true, false) => elsewhere(name, &what, &from),
                (false, _) => Finding::new(
                    Severity::Note,
                    "volume_changed",
                    format!("In the new version's own project {what} in the service {name}; yours stays as it is."),
                    "Nothing needs to be done.",
                ),
            });
        }
    }
}

/// What is behind a mount for the engine, whatever a file calls it.
fn stands_on(project: &Project, mount: &Mount, sides: &Sides<'_>) -> Mount {
    match mount {
        Mount::Volume(key) => Mount::Volume(project.volume_name(key, sides.settings)),
        other => other.clone(),
    }
}

/// A volume of the release that is one of the user's under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// What the release's file calls it.
    pub key: String,
    /// What the engine calls the one that holds the data.
    pub volume: String,
}

/// Every volume that the release calls otherwise, where nothing else has the new name in the user's project.
pub fn renamed_volumes(sides: &Sides<'_>) -> Vec<Renamed> {
    let mut all: Vec<Renamed> = Vec::new();
    for (_, mine, after) in both(sides) {
        let pairs = mine.mounts.iter().filter_map(|(target, mount)| Some((mount, after.mounts.get(target)?)));
        for found in pairs.filter_map(|(mount, to)| rename(sides, mount, to)) {
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    all
}

fn rename(sides: &Sides<'_>, mount: &Mount, to: &Mount) -> Option<Renamed> {
    let (Mount::Volume(old), Mount::Volume(key)) = (mount, to) else { return None };
    let volume = sides.mine.volume_name(old, sides.settings);
    let wanted = sides.after.volume_name(key, sides.settings);
    // A name that has a meaning of its own in the user's project cannot be given to the data of another.
    let is_taken = old != key && sides.mine.services.values().any(|it| it.mounts.values().any(|it| it == to));
    (volume != wanted && !is_taken).then(|| Renamed { key: key.clone(), volume })
}

fn renamed(service: &str, what: &str) -> Finding {
    Finding::new(
        Severity::Stop,
        "volume_renamed",
        format!("In the new version's project {what} in the service {service}: your data would look empty."),
        "Say `liftlock move-data`: the new version is then told to use your volume, in a file of Liftlock's own. Nothing is moved and \
         nothing is stopped. Then update.",
    )
}

fn elsewhere(service: &str, what: &str, from: &str) -> Finding {
    Finding::new(
        Severity::Stop,
        "volume_changed",
        format!("In the new version's project {what} in the service {service}: your data would look empty."),
        format!(
            "Nothing was changed. Stop the project, copy {from} to its new place, write the new place into your own compose file, \
             start it and look at your data; then update again, with --leave-changes. Keep the old one until you have seen your data."
        ),
    )
}

fn services(sides: &Sides<'_>, findings: &mut Vec<Finding>) {
    let names = |project: &Project| project.services.keys().cloned().collect::<BTreeSet<_>>();
    let (before, mine, after) = (names(sides.before), names(sides.mine), names(sides.after));
    for name in after.difference(&before).filter(|it| !mine.contains(*it)) {
        let needed_by = both(sides).find(|(_, _, it)| it.needs.contains(name)).map(|it| it.0);
        findings.push(match (sides.is_taken_over, needed_by) {
            (true, Some(other)) => Finding::new(
                Severity::Stop,
                "service_needed",
                format!(
                    "The new version has a further service, {name}, without which {other} does not start, and the profile that Liftlock \
                     goes by does not know it."
                ),
                "Look for a newer Liftlock, or for a newer profile. Until there is one, update by hand as the makers of the application say.",
            ),
            (true, None) => Finding::new(
                Severity::Warning,
                "service_new",
                format!(
                    "The new version has a further service, {name}, which the profile that Liftlock goes by does not know: Liftlock \
                     does not start it, and backs up nothing of it."
                ),
                "Read in the release notes what it is for. Where you want it, start it yourself after the update: it stands in the \
                 compose file below .liftlock/releases.",
            ),
            (false, _) => Finding::new(
                Severity::Warning,
                "service_new",
                format!("The new version's own project has a further service, {name}, which yours lacks."),
                "Read in the release notes whether it is needed, and add it to your compose file before you update: Liftlock never rewrites it.",
            ),
        });
    }
    for name in before.difference(&after).filter(|it| mine.contains(*it)) {
        findings.push(Finding::new(
            Severity::Warning,
            "service_gone",
            format!("The new version does without the service {name}, which your project has."),
            "Its containers and volumes are left as they are. Remove them yourself once you know that nothing uses them.",
        ));
    }
}

/// Where visitors come in is the user's own choice: a change that meets one is said to be a conflict.
fn ports(sides: &Sides<'_>, findings: &mut Vec<Finding>) {
    for (name, mine, after) in both(sides) {
        let Some(before) = sides.before.services.get(name) else { continue };
        if before.ports == after.ports || mine.ports == after.ports {
            continue;
        }
        let words = |service: &Service| -> String {
            let one = |(inside, outside): (&String, &BTreeSet<String>)| {
                outside
                    .iter()
                    .map(|it| format!("{}→{inside}", filled(it, sides.settings)))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let all: Vec<String> = service.ports.iter().map(one).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let is_own = mine.ports != before.ports;
        let (from, to) = (words(mine), words(after));
        let (class, message) = match (sides.is_taken_over, is_own) {
            (true, true) => (
                "port_conflict",
                format!("The new version changes the ports of {name} to {to}, and you have chosen {from} yourself."),
            ),
            (true, false) => {
                ("port_changed", format!("The new version changes the ports of {name} from {from} to {to}."))
            }
            (false, _) => (
                "port_changed",
                format!("The new version's own project has other ports for {name}: {to}; yours stay {from}."),
            ),
        };
        let severity = if sides.is_taken_over { Severity::Warning } else { Severity::Note };
        findings.push(Finding::new(
            severity,
            class,
            message,
            match (sides.is_taken_over, is_own) {
                (true, true) => "The new version runs by its own compose file: tell whoever visits it, or put a proxy in front of it at your ports.",
                (true, false) => "Tell whoever visits it, and change a proxy in front of it.",
                (false, _) => "Where the new version listens elsewhere inside of its container, change your compose file before you update.",
            },
        ));
    }
}

/// Services that the user has and the release too.
fn both<'s>(sides: &'s Sides<'_>) -> impl Iterator<Item = (&'s String, &'s Service, &'s Service)> {
    sides.mine.services.iter().filter_map(|(name, mine)| Some((name, mine, sides.after.services.get(name)?)))
}

fn source(mount: &Mount) -> String {
    match mount {
        Mount::Volume(key) => format!("the volume {key}"),
        Mount::Folder(folder) => format!("the folder {folder}"),
        Mount::Passing => "nothing that lasts".to_owned(),
    }
}
