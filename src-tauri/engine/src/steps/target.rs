//! Where an upgrade goes: the release that is wanted, and the stops on the way to it.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::path::{NoPath, NotDirectly, path};
use crate::releases::{Line, Listing, Pinned, Release, pin};
use crate::site::Site;

/// The way to a release.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// The release to install now.
    pub(crate) first: Release,
    /// Every version on the way, that one first.
    pub(crate) versions: Vec<Version>,
}

impl Way {
    /// What a person should know about it.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let (goal, stops) = self.versions.split_last()?;
        if stops.is_empty() {
            return None;
        }
        let stops = stops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ");
        Some(Finding::new(
            Severity::Note,
            "stops_on_the_way",
            format!("{goal} cannot be reached at once: {stops} comes first."),
            "Nothing to do. Each stop is an update of its own, with its own proven backup; if one does not work, the version before it stays.",
        ))
    }
}

/// Where the way begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'v> {
    /// The version that runs, where it could be asked.
    pub(crate) runs: Option<&'v Version>,
    /// The version that the data is of, where a person said that it is another one.
    pub(crate) data_at: Option<&'v Version>,
}

/// How often a signed manifest may send the way over another stop.
const DETOURS: usize = 8;

/// The way, and the first release on it, fixed. What its signed manifest says about where one may come from is part of
/// the way.
///
/// # Errors
/// As of [`way_to`]. That the release cannot be fixed is the answer beside the way.
pub(crate) fn aim(
    site: &Site,
    listing: &Listing,
    start: Start<'_>,
    wanted: Option<&str>,
    line: &Line<'_>,
) -> Result<(Way, Result<Pinned>)> {
    let source = site.source()?;
    let mut told = Vec::new();
    loop {
        let way = way_to(site, listing, start, wanted, &told)?;
        let pinned = pin(&source, &way.first.version, line);
        match pinned.as_ref().ok().and_then(|it| too_far(start.data_at.or(start.runs), it)) {
            Some(jump) if told.len() < DETOURS => told.push(jump),
            _ => return Ok((way, pinned)),
        }
    }
}

/// The way to the release that is wanted, or to the newest that can be reached. `told` are jumps that signed manifests
/// do not allow.
///
/// # Errors
/// `nothing_newer`, `bad_version`, `unknown_release`, `same_version`, `older_version`, `breaking_release`;
/// `stop_missing`, `no_way`.
fn way_to(site: &Site, listing: &Listing, start: Start<'_>, wanted: Option<&str>, told: &[NotDirectly]) -> Result<Way> {
    let goal = choose(site, listing, start.runs, wanted)?;
    let Some(from) = start.runs else { return Ok(Way { first: goal.clone(), versions: vec![goal.version.clone()] }) };
    let fit: Vec<Version> = listing
        .releases
        .iter()
        .filter(|it| !site.is_beyond_breaking(Some(from), it, &listing.releases))
        .map(|it| it.version.clone())
        .collect();
    let rules = &site.profile.releases;
    let rules_of_all: Vec<_> = rules.not_directly.iter().chain(told).cloned().collect();
    let data_at = start.data_at.unwrap_or(from);
    let versions = if *data_at < goal.version {
        path(data_at, &goal.version, &fit, &rules.required_stops, &rules_of_all).map_err(no_way)?
    } else {
        vec![goal.version.clone()]
    };
    // The program itself never goes back on the way.
    let versions: Vec<Version> = versions.into_iter().filter(|it| it > from).collect();
    let first = versions.first().and_then(|it| listing.releases.iter().find(|release| release.version == *it));
    let first =
        first.ok_or_else(|| Error::bug("path_beside_the_list", "The way leads over a release that is not out."))?;
    Ok(Way { first: first.clone(), versions })
}

/// The jump that a signed manifest does not allow, if it is the one to be made.
fn too_far(from: Option<&Version>, pinned: &Pinned) -> Option<NotDirectly> {
    let minimum = pinned.minimum.as_ref().filter(|minimum| from.is_some_and(|from| from < *minimum))?;
    let comparator = |op, it: &Version| VersionReq {
        comparators: vec![Comparator {
            op,
            major: it.major,
            minor: Some(it.minor),
            patch: Some(it.patch),
            pre: Prerelease::EMPTY,
        }],
    };
    Some(NotDirectly { from: comparator(Op::Less, minimum), to: comparator(Op::Exact, &pinned.version) })
}

fn no_way(why: NoPath) -> Error {
    match why {
        NoPath::StopMissing(stop) => {
            Error::refused("stop_missing", format!("{stop} must be installed on the way, and cannot be had."))
                .remedy("Wait until its publisher offers it again, or ask them for the way.")
        }
        NoPath::Forbidden(from, to) => {
            Error::refused("no_way", format!("No release that is out leads from {from} to {to}."))
                .remedy("Ask its publisher for the way; the profile says which jumps are not allowed.")
        }
    }
}

/// Which release to go to.
fn choose<'l>(site: &Site, listing: &'l Listing, from: Option<&Version>, wanted: Option<&str>) -> Result<&'l Release> {
    let is_breaking = |release: &Release| site.is_beyond_breaking(from, release, &listing.releases);
    let Some(wanted) = wanted else {
        let newest = listing.releases.iter().find(|it| from.is_none_or(|from| it.version > *from) && !is_breaking(it));
        return match newest {
            Some(release) => Ok(release),
            None => Err(Error::refused("nothing_newer", "There is no newer release to update to.")
                .remedy("Nothing to do. `liftlock releases` lists what is out.")),
        };
    };
    let version = Version::parse(wanted.trim_start_matches('v')).map_err(|cause| {
        Error::usage("bad_version", format!("“{}” is not a version.", wanted.escape_debug()))
            .remedy("Give it as 1.2.3; `liftlock releases` lists what is out.")
            .because(&cause)
    })?;
    let release = listing.releases.iter().find(|it| it.version == version).ok_or_else(|| {
        Error::refused("unknown_release", format!("{} {version} is not out.", site.profile.application.name))
            .remedy("`liftlock releases` lists what is out.")
    })?;
    if let Some(from) = from {
        if version == *from {
            return Err(
                Error::refused("same_version", format!("{version} is already running.")).remedy("Nothing to do.")
            );
        }
        if version < *from {
            return Err(Error::refused("older_version", format!("{version} is older than {from}, which is running."))
                .remedy("Data of a newer version cannot be given to an older one. To go back after an update, use `liftlock rollback`; otherwise restore a backup."));
        }
    }
    if is_breaking(release) {
        return Err(Error::refused("breaking_release", format!("{version} cannot take the data of {} along.", from.map_or_else(|| "the old version".to_owned(), ToString::to_string)))
            .remedy("Stay on this line of releases as long as you like. Read the release notes for how to bring your data over; a breaking release is never started by an ordinary update."));
    }
    Ok(release)
}
