//! Looking whether everything is ready. Touches nothing; the same look makes the plan that a person is shown.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::drivers::Gate;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{ChangedLine, Finding, Severity, most_severe_first};
use crate::model::state::State;
use crate::ports::Reporter;
use crate::probes::{Observation, Outcome};
use crate::releases::{Line, Pinned, Release};
use crate::site::Site;
use crate::site::asked::Asked;
use crate::space::{Needs, human};
use crate::state::journal::StepKey;
use crate::state::upgrades::Options;
use crate::steps::target::{Start, aim};
use crate::steps::{Observed, Step, World, key, position, record};
use crate::stores::DataStore;

/// How a store is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Its copy is changed; the original stays untouched.
    Copy,
    /// It is changed itself, after a proven final dump: there is no room for a copy.
    InPlace,
    /// What a backup holds takes its place; the original stays untouched.
    FromBackup,
}

/// What checking fixed for the rest of the upgrade.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// The version that runs.
    pub from: String,
    /// The version to reach.
    pub to: String,
    /// The release, pinned; none for a restore, whose release is here already.
    pub pinned: Option<Pinned>,
    /// How each store is changed.
    pub ways: BTreeMap<String, Way>,
    /// Why there is no rehearsal, where there is none.
    pub rehearsal: Option<String>,
    /// Whether what runs was not well: only a restore begins then, and its way back cannot ask for more.
    #[serde(default)]
    pub was_down: bool,
    /// What the driver knows the release by, beside its folder.
    #[serde(default)]
    pub identity: Value,
}

impl Checked {
    /// How a store is changed.
    pub fn way_of(&self, store: &str) -> Way {
        self.ways.get(store).copied().unwrap_or(Way::Copy)
    }
}

/// Everything that was found, whether it stops the upgrade or not.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The version that runs, where it could be asked.
    pub from: Option<Version>,
    /// The release to reach, where there is one: the first stop on the way.
    pub target: Option<Release>,
    /// The versions on the way, the last of them the one that was asked for.
    pub path: Vec<Version>,
    /// The release, pinned.
    pub pinned: Option<Pinned>,
    /// How each store is changed.
    pub ways: BTreeMap<String, Way>,
    /// Why there is no rehearsal, where there is none.
    pub rehearsal: Option<String>,
    /// What the driver knows the release by, beside its folder.
    pub identity: Value,
    /// Settings that the release needs and that are not there yet, where that is known.
    pub asked: Vec<Asked>,
    /// Lines of the user's settings that are changed.
    pub lines: Vec<ChangedLine>,
    /// What was found, stops first.
    pub findings: Vec<Finding>,
}

/// Looks at everything and touches nothing.
///
/// # Errors
/// Only what keeps it from looking at all: `cancelled`, `lease_lost`. Everything else is a finding.
pub fn survey(site: &Site, wanted: Option<&str>, options: &Options, line: Line<'_>) -> Result<Survey> {
    let mut found = Vec::new();
    match site.observe(line.reporter) {
        Ok(observed) => found.extend(observed.iter().filter_map(unhealthy)),
        Err(error) => found.push(stop(error)?),
    }
    let from = match site.ask_version(Gate::Public, line.reporter) {
        Ok(version) => Some(version),
        Err(error) => {
            found.push(stop(error)?);
            None
        }
    };
    let data_at = match position::said(options.data_at.as_deref()) {
        Ok(said) => said,
        Err(error) => {
            found.push(stop(error)?);
            None
        }
    };
    if let Some(running) = &from {
        found.extend(position::finding(site, running, data_at.as_ref(), line.reporter)?);
    }
    let mut target = None;
    let mut path = Vec::new();
    let mut pinned = None;
    match crate::releases::list(&site.source()?, &line) {
        Err(error) => found.push(stop(error)?),
        Ok(listing) => {
            match aim(site, &listing, Start { runs: from.as_ref(), data_at: data_at.as_ref() }, wanted, &line) {
                Err(error) => found.push(stop(error)?),
                Ok((way, fixed)) => {
                    found.extend(way.finding());
                    path = way.versions;
                    match fixed {
                        Ok(it) => pinned = Some(it),
                        Err(error) => found.push(stop(error)?),
                    }
                    target = Some(way.first);
                }
            }
        }
    }
    found.extend(site.look_at_installation(
        target.as_ref().map(|it| &it.version),
        options.leave_changes,
        line.reporter,
    ));
    let mut identity = Value::Null;
    let (mut asked, mut lines) = (Vec::new(), Vec::new());
    if let Some(target) = &target {
        let target = target.version.to_string();
        match site.driver.identify(&target) {
            Ok(it) => identity = it,
            Err(error) => found.push(stop(error)?),
        }
        // What keeps a line from being changed has been found above.
        lines.extend(site.driver.changes_line(&target).ok().flatten());
        if let Some(error) = pinned.as_ref().and_then(|it| site.look_into(it, &line).err()) {
            found.push(not_looked_into(&target, &stop(error)?));
        }
        match site.asks(&target) {
            Ok((differs, asks)) => {
                found.extend(differs);
                found.extend(asks.iter().filter_map(|it| it.finding(site)));
                lines.extend(asks.iter().filter_map(Asked::line));
                asked = asks;
            }
            Err(error) => found.push(stop(error)?),
        }
    }
    found.extend(site.not_backed_up());
    found.extend(site.findings_of_page());
    let mut ways = BTreeMap::new();
    for store in &site.stores {
        line.reporter.check()?;
        match store.obstacles(line.reporter) {
            Ok(obstacles) => {
                found.extend(obstacles);
                ways.insert(store.name().to_owned(), in_place_or_listed(store.as_ref(), options.in_place));
            }
            Err(error) => found.push(stop(error)?),
        }
    }
    room(site, pinned.as_ref(), &mut ways, &mut found, line.reporter);
    let rehearsal = site.why_no_rehearsal();
    if let Some(why) = &rehearsal {
        found.push(Finding::new(
            Severity::Warning,
            "no_rehearsal",
            format!("The update cannot be rehearsed on a copy of your data: {why}."),
            "The backup is proven all the same, and a failed update is brought back.",
        ));
    }
    if site.profile.gate.is_none() {
        found.push(Finding::new(
            Severity::Warning,
            "no_gate",
            "Users can come in as soon as the new version is started, before it has been looked at.",
            "Nothing to do. From that moment on Liftlock does not go back by itself if data has changed.",
        ));
    }
    if options.unattended {
        found.extend(needs_a_person(&path, &ways, rehearsal.as_deref()));
    }
    most_severe_first(&mut found);
    Ok(Survey { from, target, path, pinned, ways, rehearsal, identity, asked, lines, findings: found })
}

/// What is never done while nobody is there.
fn needs_a_person(path: &[Version], ways: &BTreeMap<String, Way>, rehearsal: Option<&str>) -> Option<Finding> {
    let why = if let Some(why) = rehearsal {
        format!("it cannot be rehearsed: {why}")
    } else if ways.values().any(|it| *it == Way::InPlace) {
        "there is no room for a copy of the data".to_owned()
    } else if path.len() > 1 {
        "other versions come first on the way".to_owned()
    } else {
        return None;
    };
    Some(Finding::new(
        Severity::Stop,
        "needs_a_person",
        format!("It is not updated while nobody is there, because {why}."),
        "Update it yourself: `liftlock upgrade`.",
    ))
}

/// What is only listed has no copy that could be spared.
fn in_place_or_listed(store: &dyn DataStore, in_place: bool) -> Way {
    if in_place && store.changes_places() { Way::InPlace } else { Way::Copy }
}

/// An error as a finding, except for the reasons to stop looking.
fn stop(error: Error) -> Result<Finding> {
    let stops = error.kind == Kind::LeaseLost || matches!(error.class.as_ref(), "cancelled" | "deadline");
    if stops { Err(error) } else { Ok(Finding::stop(&error)) }
}

/// It is looked at once more when the release is here.
fn not_looked_into(version: &str, why: &Finding) -> Finding {
    Finding::new(
        Severity::Note,
        "not_looked_into",
        format!("What {version} changes around your data, and what it asks for, is not known yet: {}", why.message),
        "Nothing to do: it is looked at when the update begins, before anything is stopped.",
    )
}

/// A required probe that is down stops an upgrade: one never begins with an application that is not well.
fn unhealthy(seen: &Observation) -> Option<Finding> {
    let Outcome::Down { error_class, message, remedy, .. } = &seen.outcome else { return None };
    let (severity, class) = if seen.required { (Severity::Stop, "unhealthy") } else { (Severity::Warning, "not_well") };
    Some(Finding::new(
        severity,
        class,
        format!("The check “{}” is down ({error_class}): {message}", seen.probe),
        remedy.clone(),
    ))
}

/// Sums what each disk must hold, and changes the way of a database where only a copy does not fit.
fn room(
    site: &Site,
    pinned: Option<&Pinned>,
    ways: &mut BTreeMap<String, Way>,
    found: &mut Vec<Finding>,
    reporter: &dyn Reporter,
) {
    let sizes: Result<Vec<_>> = site.stores.iter().map(|it| Ok((it.as_ref(), it.size(reporter)?))).collect();
    let sizes = match sizes {
        Ok(sizes) => sizes,
        Err(error) => return found.push(Finding::stop(&error)),
    };
    found.extend(sizes.iter().filter_map(|(store, size)| unseen_disk(*store, *size)));
    match fits(site, pinned, &sizes, ways) {
        Ok(()) => {}
        Err(error) if error.class != "no_room" && error.class != "disk_full" => found.push(Finding::stop(&error)),
        Err(error) => {
            let in_place: BTreeMap<_, _> = site
                .stores
                .iter()
                .filter(|it| ways.contains_key(it.name()))
                .map(|it| (it.name().to_owned(), in_place_or_listed(it.as_ref(), true)))
                .collect();
            match fits(site, pinned, &sizes, &in_place) {
                Ok(()) => {
                    found.push(Finding::new(
                        Severity::Warning,
                        "in_place",
                        format!("There is no room for a copy of the data, so it is changed in place after a proven final backup. {error}"),
                        "Free some space to have the original kept untouched, which is also quicker.",
                    ));
                    *ways = in_place;
                }
                // What is short of the usual way is said: less than that is of no use either.
                Err(_) => found.push(Finding::stop(&error)),
            }
        }
    }
}

/// Whether everything fits that must lie on the disks at one time: first what is made while the application is up,
/// then what is made while it is away. Scratch servers are gone by the time a copy is made.
fn fits(
    site: &Site,
    pinned: Option<&Pinned>,
    sizes: &[(&dyn DataStore, u64)],
    ways: &BTreeMap<String, Way>,
) -> Result<()> {
    let mut before = Needs::new();
    if let Some(pinned) = pinned {
        before.add(site.home.downloads(), pinned.asset.size, "the release");
        // Programs unpack to about four times their archive.
        before.add(&site.installation.folder, pinned.asset.size.saturating_mul(4), "the new release, unpacked");
    }
    for (_, size) in sizes {
        before.add(site.home.backups(&site.installation.name)?, size / 2, "the backup");
    }
    let mut away = before.clone();
    let mut back = before.clone();
    for (store, size) in sizes.iter().filter(|(store, _)| store.changes_places()) {
        let in_place = ways.get(store.name()) == Some(&Way::InPlace);
        if in_place {
            for needs in [&mut away, &mut back] {
                needs.add(site.home.root(), size / 2, "the final backup, taken while it is away");
            }
            away.add(&site.scratch, size.saturating_mul(2), "the copy on which the final backup is proven");
        }
        if let Some(place) = store.folder() {
            if in_place {
                // The way back: what was changed is not removed before the restored one stands beside it.
                back.add(&place, *size, "the final backup, restored, should the update have to be taken back");
            } else {
                away.add(&place, size.saturating_add(size / 5), "the copy that is fitted to the new version");
            }
        }
    }
    for (_, size) in sizes {
        before.add(&site.scratch, size.saturating_mul(2), "the copy on which the backup is proven");
    }
    [before, away, back].iter().try_for_each(Needs::check)
}

/// The disk of a server on another machine, or one that this user may not look at, cannot be measured from here.
fn unseen_disk(store: &dyn DataStore, size: u64) -> Option<Finding> {
    if !store.changes_places() || store.folder().is_some() {
        return None;
    }
    let needed = human(size.saturating_add(size / 5));
    Some(Finding::new(
        Severity::Warning,
        "unseen_disk",
        format!(
            "Liftlock cannot see the disk on which {} lies: {needed} must be free there for a copy of the data.",
            store.name()
        ),
        "Look on the computer of the database server. If it is too little after all, the old version is brought back.",
    ))
}

/// The step.
#[derive(Debug)]
pub struct Check;

impl Step for Check {
    fn phase(&self) -> State {
        State::Checking
    }
    fn key(&self) -> StepKey {
        key("check")
    }
    fn does(&self) -> String {
        "Look whether everything is ready: health, versions, rights, room, other programs.".to_owned()
    }
    fn weight(&self) -> f64 {
        3.0
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let cache = world.site.answers()?;
        let line = world.site.line(&cache, world.reporter);
        let survey = survey(world.site, world.wanted.as_deref(), world.options, line)?;
        for finding in &survey.findings {
            world.reporter.say(&format!("{}: {} {}", finding.class, finding.message, finding.remedy));
        }
        // Before the stop is named: whoever takes this up again must still know where the way ends.
        if let [_, .., goal] = &survey.path[..] {
            world.journal().set_goal(&goal.to_string())?;
        }
        if let Some(from) = &survey.from {
            let to = survey.target.as_ref().map_or_else(|| world.wanted.clone(), |it| Some(it.version.to_string()));
            world.journal().set_versions(&from.to_string(), &to.unwrap_or_else(|| "latest".to_owned()))?;
        }
        if let Some(stop) = survey.findings.iter().find(|it| it.severity == Severity::Stop) {
            return Err(stop.to_error());
        }
        let (Some(from), Some(pinned)) = (survey.from, survey.pinned) else {
            return Err(Error::bug("survey", "Checking found nothing to stop it and nothing to go to."));
        };
        world.halfway("forward", &self.key());
        record(&Checked {
            from: from.to_string(),
            to: pinned.version.to_string(),
            pinned: Some(pinned),
            ways: survey.ways,
            rehearsal: survey.rehearsal,
            was_down: false,
            identity: survey.identity,
        })
    }
}
