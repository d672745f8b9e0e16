//! What is known of copies without making one: what became of the last, which backups have one, and what is missing.
//!
//! Storage is far away and is not asked for what was seen when a copy went there. That a copy was not as it was written
//! is remembered until it is whole again or gone: nobody reads it a second time by chance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backups::Backup;
use crate::backups::copies::{self, CopyOf, CopyPlace, Folder};
use crate::engine::Engine;
use crate::engine::copies::Chosen;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::process::Silent;
use crate::view::window::{self, BackupCopyView, CopyState};

/// What became of the last copy to a place.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    /// The newest backup that lies there whole.
    id: Option<String>,
    /// Why a newer one does not.
    failed: Option<Error>,
    /// Copies that were not as they were written when they were last read.
    #[serde(default)]
    damaged: BTreeMap<String, Error>,
}

fn last_key(name: &InstallationName, place: &Chosen) -> String {
    format!("copied:{name}:{}", place.shown())
}

/// The places for copies, looked at once for a whole list.
pub(super) struct Known {
    folder: Option<Folder>,
    places: Vec<Chosen>,
}

impl Known {
    /// Whether a copy of a backup lies in any of them; nothing where none was chosen, or where it cannot be told now.
    pub(super) fn has(&self, engine: &Engine, name: &InstallationName, id: &str) -> Result<Option<bool>> {
        let copy = CopyOf { installation: name.clone(), id: id.to_owned() };
        if self.folder.as_ref().is_some_and(|it| it.path(&copy).is_dir()) {
            return Ok(Some(true));
        }
        let mut is_known = !self.places.is_empty();
        for place in &self.places {
            match place {
                Chosen::Folder(_) => is_known &= self.folder.is_some(),
                // It is remembered of the newest one only, and older ones go there by a rule of their own.
                Chosen::Storage(_) if engine.last(name, place)?.id.as_deref() == Some(id) => return Ok(Some(true)),
                Chosen::Storage(_) => is_known = false,
            }
        }
        Ok(is_known.then_some(false))
    }
}

impl Engine {
    /// Remembers what became of a copy.
    pub(super) fn remember(
        &self,
        name: &InstallationName,
        place: &Chosen,
        backup: &Backup,
        failed: Option<&Error>,
    ) -> Result<()> {
        let mut last = self.last(name, place)?;
        match failed {
            None => {
                last.damaged.remove(&backup.id());
                // A copy of an older one takes nothing back; what a clock dated that was ahead is no newer than this.
                let known = last.id.filter(|it| !copies::is_dated_ahead(it, self.clock.now()));
                last.id = known.max(Some(backup.id()));
            }
            Some(error) if error.class == "copy_differs" => {
                last.damaged.insert(backup.id(), error.clone());
            }
            Some(_) => {}
        }
        last.failed = failed.cloned();
        let text = serde_json::to_string(&last)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.db()?.set_note(&last_key(name, place), &text)
    }

    fn last(&self, name: &InstallationName, place: &Chosen) -> Result<Last> {
        let kept = self.db()?.note(&last_key(name, place))?;
        Ok(kept.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default())
    }

    /// Whether the copy was not as it was written when it was last read.
    pub(super) fn is_copy_damaged(&self, name: &InstallationName, place: &Chosen, id: &str) -> bool {
        self.last(name, place).is_ok_and(|it| it.damaged.contains_key(id))
    }

    /// Whether backups are copied anywhere.
    pub(crate) fn has_copy_place(&self) -> Result<bool> {
        Ok(!self.chosen()?.is_empty())
    }

    /// The places for copies, for telling which backups have one.
    pub(super) fn known_places(&self) -> Result<Known> {
        let places = self.chosen()?;
        let folder = places.iter().find_map(|it| match it {
            Chosen::Folder(folder) if folder.is_connected() => Some(folder.clone()),
            _ => None,
        });
        Ok(Known { folder, places })
    }

    /// Whether the newest backup lacks a copy in a place that may be there.
    pub(crate) fn may_copy_now(&self, found: &[Backup]) -> Result<bool> {
        let Some(newest) = found.first() else { return Ok(false) };
        let (name, copy) = (&newest.manifest.installation, CopyOf::backup(newest));
        for place in self.chosen()? {
            let lacks = match &place {
                Chosen::Folder(folder) => folder.is_connected() && !folder.path(&copy).is_dir(),
                Chosen::Storage(_) => self.last(name, &place)?.id.as_deref() != Some(copy.id.as_str()),
            };
            if lacks {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where copies of a backup lie, a line for each place. Storage is asked, and nothing is read.
    pub(super) fn places_with(&self, backup: &Backup) -> Result<Vec<BackupCopyView>> {
        let (name, copy) = (&backup.manifest.installation, CopyOf::backup(backup));
        let mut lines = Vec::new();
        for place in self.chosen()? {
            let is_there = self.opened(&place).and_then(|it| {
                it.expect_ours(&Silent)?;
                it.has(&copy, &Silent)
            });
            let damaged = self.last(name, &place)?.damaged.remove(&copy.id);
            let (state, problem) = match (is_there, damaged) {
                (Ok(true), Some(error)) => (CopyState::Damaged, Some(error)),
                (Ok(true), None) => (CopyState::There, None),
                (Ok(false), _) => (CopyState::Missing, None),
                (Err(error), _) => (CopyState::Away, Some(error)),
            };
            let problem = problem.map(|it| window::Finding::from(&Finding::stop(&it)));
            lines.push(BackupCopyView { place: place.shown(), state, problem });
        }
        Ok(lines)
    }

    /// Warnings where copies are wanted and the newest backup has none, and where one is not as it was written. Nothing is
    /// asked over the network.
    pub(crate) fn copies_behind(&self, found: &[Backup]) -> Result<Vec<Finding>> {
        let Some(newest) = found.first() else { return Ok(Vec::new()) };
        let (name, copy) = (&newest.manifest.installation, CopyOf::backup(newest));
        let warn = |message: String, remedy: String| Finding::new(Severity::Warning, "copy_behind", message, remedy);
        let again = format!("Make one: `liftlock backup copy --of {name}`.");
        let mut findings = Vec::new();
        for place in self.chosen()? {
            let last = self.last(name, &place)?;
            findings.extend(damaged(name, &place, last.damaged));
            match &place {
                Chosen::Folder(folder) if !folder.is_connected() => findings.push(warn(
                    format!("The folder for copies is not there, so {name} has no newer copy: {}.", folder.shown()),
                    format!("Connect its disk or share, then run `liftlock backup copy --of {name}`."),
                )),
                Chosen::Folder(folder) if folder.path(&copy).is_dir() => {}
                Chosen::Storage(_) if last.id.as_deref() == Some(copy.id.as_str()) => {}
                _ => {
                    let message = format!("The newest backup of {name} has no copy in {}.", place.shown());
                    findings.push(match last.failed.filter(|it| it.class != "copy_differs") {
                        Some(error) => warn(format!("{message} {}", error.message), error.remedy),
                        None => warn(message, again.clone()),
                    });
                }
            }
        }
        Ok(findings)
    }
}

/// Copies that are still there and were not as they were written.
fn damaged(name: &InstallationName, place: &Chosen, damaged: BTreeMap<String, Error>) -> Vec<Finding> {
    let is_there = |id: &String| match place {
        Chosen::Folder(folder) => {
            !folder.is_connected() || folder.path(&CopyOf { installation: name.clone(), id: id.clone() }).is_dir()
        }
        Chosen::Storage(_) => true,
    };
    let finding = |error: Error| {
        let message = format!("A copy of a backup of {name} is damaged. {}", error.message);
        Finding::new(Severity::Stop, "copy_damaged", message, error.remedy)
    };
    damaged.into_iter().filter(|(id, _)| is_there(id)).map(|(_, error)| finding(error)).collect()
}
