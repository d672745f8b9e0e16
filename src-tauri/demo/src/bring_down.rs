//! Ends everything that belongs to a demo, and makes sure of it.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster;
use crate::detached::{self, Identity};
use crate::place::Place;

/// Stops the shop, the release server and PostgreSQL. The data stays, unless it is to be removed.
///
/// With `hard` everything is killed at once, as by a power cut.
///
/// # Errors
/// Something does not end.
pub fn down(place: &Place, hard: bool, remove: bool) -> Result<Value> {
    if let Some(project) = place.facts().ok().and_then(|it| it.project) {
        let gone = project.down(place, hard, remove);
        // An engine that is gone for good has taken its containers with it.
        if !hard {
            gone?;
        }
    }
    let before = detached::all_below(&place.root);
    if hard {
        before.iter().for_each(|it| it.signal(Signal::KILL));
    } else {
        for file in [place.shop_process(), place.releases().join("server.json")] {
            if let Some(process) = Identity::in_file(&file) {
                process.end(Duration::from_secs(3))?;
            }
            // Whoever it names is gone.
            let _ = fs::remove_file(file);
        }
        cluster::stop(place)?;
    }
    // What a driver started, what a crash left, what was started while we looked.
    let gone = detached::wait_until(Duration::from_secs(20), || {
        let left = detached::all_below(&place.root);
        left.iter().for_each(|it| it.signal(Signal::KILL));
        left.is_empty()
    });
    ensure!(gone, "some processes of the demo do not end: {:?}", detached::all_below(&place.root));
    if remove && place.root.is_dir() {
        fs::remove_dir_all(&place.root)?;
    }
    Ok(json!({ "down": true, "ended": before.len(), "removed": remove }))
}
