//! Getting a release: fetched, checked, unpacked beside the others, and switched to by one rename.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::archive::{self, Limits};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::state::State;
use crate::releases::{fetch, recheck};
use crate::site::{is_release_from, mark_release};
use crate::state::journal::StepKey;
use crate::steps::{Observed, Step, World, key};

/// Fetches the release and unpacks it into a folder of its own.
#[derive(Debug)]
pub struct Fetch;

impl Fetch {
    fn folder(world: &World<'_>) -> Result<PathBuf> {
        world.site.release_folder(&world.checked()?.to)
    }

    fn part(world: &World<'_>) -> Result<PathBuf> {
        let folder = Self::folder(world)?;
        let name = format!(".part-{}", world.id.short());
        Ok(folder.parent().map_or_else(|| PathBuf::from(&name), |it| it.join(&name)))
    }
}

impl Step for Fetch {
    fn phase(&self) -> State {
        State::Downloading
    }
    fn key(&self) -> StepKey {
        key("fetch_release")
    }
    fn does(&self) -> String {
        "Fetch the release, check that it arrived whole, and unpack it beside the one in use.".to_owned()
    }
    fn weight(&self) -> f64 {
        8.0
    }
    fn deadline(&self, _world: &World<'_>) -> Duration {
        Duration::from_secs(6 * 3600)
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        // Looking again is as quick as recording: the download is addressed by its content.
        Ok(Observed::Partial)
    }

    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        let source = world.site.source()?;
        let cache = world.site.answers()?;
        let line = world.site.line(&cache, world.reporter);
        let pinned = checked
            .pinned
            .as_ref()
            .ok_or_else(|| Error::bug("not_pinned", "A release was not pinned before it was fetched."))?;
        recheck(&source, pinned, &line)?;
        let fetched = fetch(&source, pinned, &world.home.downloads(), &line)?;
        world.halfway("forward", &self.key());
        let folder = Self::folder(world)?;
        let answer = json!({ "folder": folder, "sha256": fetched.sha256, "bytes": fetched.bytes });
        if folder.exists() {
            // Checking refuses a folder that Liftlock did not make; this one is whole, or it would not have its name.
            if is_release_from(&folder, &fetched.sha256) {
                return Ok(answer);
            }
            return Err(Error::refused(
                "release_folder_taken",
                format!("{} is there already, with something else in it.", folder.display()),
            )
            .remedy("Move this folder away, then try again."));
        }
        let part = Self::part(world)?;
        if part.exists() {
            fs::remove_dir_all(&part).map_err(|cause| Error::io("clear", &part, &cause))?;
        }
        if let Some(parent) = part.parent() {
            fs::create_dir_all(parent).map_err(|cause| Error::io("create", parent, &cause))?;
        }
        archive::unpack(&fetched.path, &part, &Limits::default(), world.reporter)?;
        world.site.driver.furnish(&part)?;
        mark_release(&part, &fetched.sha256)?;
        fs::rename(&part, &folder).map_err(|cause| Error::io("put in place", &folder, &cause))?;
        if let Some(parent) = folder.parent() {
            durable::fsync_dir(parent)?;
        }
        world.site.take_baseline(&checked.to, world.reporter)?;
        // What is left of it is replaced by the next look.
        let _ = world.site.forget_look();
        Ok(answer)
    }
}

/// Gets what the release runs from beside its folder: the images of its containers.
#[derive(Debug)]
pub struct Prepare {
    /// What it does, in the driver's words.
    pub does: String,
}

impl Step for Prepare {
    fn phase(&self) -> State {
        State::Downloading
    }
    fn key(&self) -> StepKey {
        key("prepare_release")
    }
    fn does(&self) -> String {
        self.does.clone()
    }
    fn weight(&self) -> f64 {
        8.0
    }
    fn deadline(&self, _world: &World<'_>) -> Duration {
        Duration::from_secs(6 * 3600)
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        // What is there already is not fetched again.
        Ok(Observed::Partial)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        let answer = world.site.driver.prepare(&checked.to, &checked.identity, &world.given()?, world.reporter)?;
        world.halfway("forward", &self.key());
        Ok(answer)
    }
}

/// Switches the link to the new release.
#[derive(Debug)]
pub struct Switch;

impl Step for Switch {
    fn phase(&self) -> State {
        State::Restarting
    }
    fn key(&self) -> StepKey {
        key("switch_release")
    }
    fn does(&self) -> String {
        "Put the new release in the place of the old one, which stays where it is.".to_owned()
    }
    fn is_cancellable(&self) -> bool {
        false
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        Ok(json!({ "old": world.site.driver.current_release()?, "new": world.checked()?.to }))
    }
    fn observe(&self, world: &World<'_>, intent: &Value) -> Result<Observed> {
        let current = world.site.driver.current_release()?;
        Ok(match current {
            Some(it) if intent["new"] == it.as_str() => Observed::Done(json!({ "release": it })),
            Some(it) if intent["old"] == it.as_str() => Observed::NotStarted,
            other => Observed::Unknown(format!("the installation points to {}", other.as_deref().unwrap_or("nothing"))),
        })
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let new = intent["new"].as_str().unwrap_or_default();
        world.site.driver.switch(new)?;
        world.halfway("forward", &self.key());
        Ok(json!({ "release": new }))
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let Some(old) = intent["old"].as_str() else {
            return Err(Error::failed("no_old_release", "The journal does not say which release was in use.")
                .remedy("Point the “current” link of the installation at the old release by hand."));
        };
        world.halfway("back", &self.key());
        world.site.driver.switch(old)
    }
}
