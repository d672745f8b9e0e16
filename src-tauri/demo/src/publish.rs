//! What the release server shows: a list in a file, and the archives it points to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::archive::{self, Hostile};
use crate::catalogue;
use crate::docker::images;
use crate::place::{self, Facts, Place};

/// A release that can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Which one.
    pub version: String,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// How often its tag was moved.
    pub generation: u32,
    /// Its archive is not what it should be.
    #[serde(default)]
    pub hostile: Option<Hostile>,
    /// Marked as a pre-release.
    #[serde(default)]
    pub prerelease: bool,
    /// Not public yet.
    #[serde(default)]
    pub draft: bool,
    /// A commit of the branch only, that no tag points to.
    #[serde(default)]
    pub untagged: bool,
    /// Where its archive is.
    pub archive: PathBuf,
    /// Size of the archive in bytes.
    pub size: u64,
    /// SHA-256 of the archive, hexadecimal.
    pub sha256: String,
}

impl Published {
    /// Its commit, which its tag points to where it has one.
    pub fn commit(&self) -> String {
        commit(&self.version, self.generation)
    }
}

fn commit(version: &str, generation: u32) -> String {
    archive::sha256(format!("commit of {version} {generation}").as_bytes())[..40].to_owned()
}

/// How something is published.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// As a pre-release.
    pub prerelease: bool,
    /// Not for the public yet.
    pub draft: bool,
    /// Pushed to the branch, and not tagged. Cannot be changed later.
    pub untagged: bool,
    /// How long an image of it takes to be built, in seconds. Cannot be changed later.
    pub build_seconds: Option<u32>,
}

/// Makes releases visible. One that is visible already stays as it is, save for its marks.
///
/// # Errors
/// There is no such release, or it cannot be built.
pub fn publish(place: &Place, versions: &[String], marks: Marks) -> Result<Vec<Published>> {
    let Marks { prerelease, draft, untagged, build_seconds } = marks;
    let mut list = list(place)?;
    for version in versions {
        let version = version.trim_start_matches('v');
        match list.iter_mut().find(|it| it.version == version) {
            Some(there) => {
                there.prerelease = prerelease;
                there.draft = draft;
            }
            None => {
                let mut release = released(version)?;
                release.behaviour.build_seconds = build_seconds;
                if untagged {
                    release.behaviour.reports_version = Some(on_branch(version, &list));
                }
                let built = published(place, version, &archive::packed(&release, 0, place.form())?)?;
                // A branch has one commit after the other.
                let after = list.iter().map(|it| it.published_at + TimeDelta::seconds(1)).max();
                let published_at = after.map_or(built.published_at, |it| it.max(built.published_at));
                list.push(Published { prerelease, draft, untagged, published_at, ..built });
            }
        }
    }
    write(place, &list)?;
    Ok(list)
}

/// What will be this release one day, built from a commit, says the release before it, and its commit.
fn on_branch(version: &str, list: &[Published]) -> String {
    let before = list.iter().rev().find(|it| !it.untagged).map_or("0.0.0", |it| it.version.as_str());
    format!("{before} ({})", &commit(version, 0)[..7])
}

/// Makes the image of a release visible to a demo in containers.
///
/// # Errors
/// There is no such release, or the engine refuses.
pub fn image(facts: &Facts, version: &str, generation: u32) -> Result<()> {
    match &facts.project {
        Some(project) if !project.is_built => {
            images::shop(&project.docker, &released(version)?, generation).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Moves the tag of a release to another commit with another archive (or back, with 0).
///
/// # Errors
/// It is not published.
pub fn move_tag(place: &Place, version: &str, generation: u32) -> Result<()> {
    replace(place, version, build(place, version, generation)?)
}

/// Gives a release a hostile archive. Its size and digest are announced as they are.
///
/// # Errors
/// It is not published.
pub fn spoil(place: &Place, version: &str, kind: Hostile) -> Result<()> {
    let there = list(place)?.into_iter().find(|it| it.version == version);
    let there = there.with_context(|| format!("{version} is not published"))?;
    let path = archive::hostile(&released(version)?, kind)?;
    replace(
        place,
        version,
        Published { hostile: Some(kind), generation: there.generation, ..published(place, version, &path)? },
    )
}

/// What can be seen, in the order of publication.
///
/// # Errors
/// The list cannot be read.
pub fn list(place: &Place) -> Result<Vec<Published>> {
    let path = file(place);
    if path.is_file() { place::read_json(&path) } else { Ok(Vec::new()) }
}

fn replace(place: &Place, version: &str, with: Published) -> Result<()> {
    let mut list = list(place)?;
    let there = list.iter_mut().find(|it| it.version == version);
    let there = there.with_context(|| format!("{version} is not published"))?;
    *there = Published {
        published_at: there.published_at,
        prerelease: there.prerelease,
        draft: there.draft,
        untagged: there.untagged,
        ..with
    };
    write(place, &list)
}

fn build(place: &Place, version: &str, generation: u32) -> Result<Published> {
    let path = archive::packed(&released(version)?, generation, place.form())?;
    Ok(Published { generation, ..published(place, version, &path)? })
}

fn released(version: &str) -> Result<catalogue::Release> {
    catalogue::find(version).with_context(|| {
        let known: Vec<_> = catalogue::all().iter().map(|it| it.version).collect();
        format!("there is no Corner Shop {version}; there are {}", known.join(", "))
    })
}

/// A release as it is published first, with this archive.
fn published(place: &Place, version: &str, built: &Path) -> Result<Published> {
    let content = fs::read(built)?;
    // A demo keeps what it shows, whatever is built later.
    let archive = place.releases().join("assets").join(built.file_name().context("an archive has a name")?);
    fs::create_dir_all(place.releases().join("assets"))?;
    if !archive.is_file() && fs::hard_link(built, &archive).is_err() {
        place::write_private(&archive, &content)?;
    }
    Ok(Published {
        version: version.to_owned(),
        published_at: Utc::now().trunc_subsecs(0),
        generation: 0,
        hostile: None,
        prerelease: false,
        draft: false,
        untagged: false,
        size: content.len() as u64,
        sha256: archive::sha256(&content),
        archive,
    })
}

fn write(place: &Place, list: &[Published]) -> Result<()> {
    fs::create_dir_all(place.releases())?;
    place::write_private(&file(place), &serde_json::to_vec_pretty(list)?)
}

fn file(place: &Place) -> PathBuf {
    place.releases().join("published.json")
}
