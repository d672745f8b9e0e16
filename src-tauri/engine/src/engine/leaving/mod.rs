//! Leaving an old version whose data cannot come along: export, check, fresh start, bringing back, page by page.
//!
//! Each page can be left and is come back to; what takes time is done by a worker and goes on without a window. The acts
//! themselves are the verbs that the command line has too; what stands here is only which of them is next.

mod going_back;
mod mapped;
mod record;
mod work;

use std::path::{Path, PathBuf};

use self::record::Record;
use crate::engine::Engine;
use crate::engine::exports::{bytes_of, files_of};
use crate::engine::window::named;
use crate::error::{Error, Result};
use crate::export::{self, entity};
use crate::model::fresh::FreshState;
use crate::model::ids::InstallationName;
use crate::model::profile::{Export, Profile, Store};
use crate::process::Silent;
use crate::site::Site;
use crate::state::Db;
use crate::stores::tables::Source;
use crate::view::ErrorView;
use crate::view::window::{
    EntityPreview, HelpLink, LeavingChoice, LeavingEntity, LeavingExport, LeavingExported, LeavingFresh, LeavingLine,
    LeavingProblem, LeavingStep, LeavingView, NotesView,
};

pub use work::LeavingWord;

/// Rows that a look shows, and letters of a value.
const LOOKED_AT: usize = 20;
const LETTERS: usize = 200;

impl Engine {
    /// Where leaving an old version stands, with what there is to export counted anew.
    ///
    /// # Errors
    /// `unknown_installation`; what the database of the application answered.
    pub fn leaving(&self, name: &str, to: &str) -> Result<LeavingView> {
        let name = named(name)?;
        let mut record = self.leaving_record(&name, to)?;
        let is_at_rest = self.leaving_works(&name, &record)?.is_none();
        if is_at_rest && !record.is_return && record.exported.is_none() && self.fresh_start_of(&name)?.is_none() {
            record.entities = self.what_there_is(&name)?;
            if record.reasons.is_empty() {
                record.reasons = self.why_it_breaks(&name, to)?;
            }
            self.db()?.keep_leaving(&name, &record)?;
        }
        self.leaving_view(&name, &record)
    }

    /// Takes down what was chosen, and the page that a person goes to.
    ///
    /// # Errors
    /// `unknown_installation`; `busy` where something is at work.
    pub fn leaving_choose(
        &self,
        name: &str,
        to: &str,
        step: LeavingStep,
        choice: &LeavingChoice,
    ) -> Result<LeavingView> {
        let name = named(name)?;
        let mut record = self.leaving_record(&name, to)?;
        if self.leaving_works(&name, &record)?.is_some() {
            return Err(
                Error::refused("busy", "Something is being done for it just now.").remedy("Wait until it has ended.")
            );
        }
        // What was exported is not what is chosen now. The files stay.
        if record.choice.as_ref().is_some_and(|it| it != choice) && self.fresh_start_of(&name)?.is_none() {
            record.exported = None;
        }
        record.step = step;
        record.choice = Some(choice.clone());
        self.db()?.keep_leaving(&name, &record)?;
        self.leaving_view(&name, &record)
    }

    /// The first rows of a kind of thing.
    ///
    /// # Errors
    /// `unknown_installation`, `unknown_entity`; what the database answered.
    pub fn leaving_preview(&self, name: &str, entity: &str) -> Result<EntityPreview> {
        let name = named(name)?;
        let site = self.site(&self.db()?.installation(&name)?)?;
        let declared = site.exports();
        for (source, own) in declared_by_source(&site, &declared) {
            let Some(mut snapshot) = source.snapshot()? else { continue };
            // Two databases may have tables of the same name: what is declared is meant.
            let everything = !declared.iter().any(|it| it.entity == entity);
            let chosen = entity::entities(&own, &snapshot.tables()?, everything)?;
            let Some(chosen) = chosen.into_iter().find(|it| it.entity == entity) else { continue };
            let columns: Vec<_> = chosen.columns.iter().map(|(it, _)| it.clone()).collect();
            let mut rows = Vec::new();
            let mut take = |row: &crate::stores::tables::Row<'_>| {
                rows.push(row.iter().map(|it| it.as_deref().map(shortened)).collect());
                if rows.len() < LOOKED_AT { Ok(()) } else { Err(Error::failed(ENOUGH, "")) }
            };
            match snapshot.rows(&chosen.table, &columns, &[], &mut take, &Silent) {
                Err(error) if error.class != ENOUGH => return Err(error),
                _ => {}
            }
            return Ok(EntityPreview { columns: chosen.columns.into_iter().map(|(_, label)| label).collect(), rows });
        }
        Err(Error::usage("unknown_entity", format!("There is nothing called “{entity}”.")).remedy("Choose another."))
    }

    /// Forgets where it stood, as a person asked for. Files, installations and what came in stay.
    ///
    /// # Errors
    /// `unknown_installation`; `busy` where something is at work.
    pub fn leaving_forget(&self, name: &str, to: &str) -> Result<()> {
        let name = named(name)?;
        let record = self.leaving_record(&name, to)?;
        if self.leaving_works(&name, &record)?.is_some() {
            return Err(
                Error::refused("busy", "Something is being done for it just now.").remedy("Wait until it has ended.")
            );
        }
        self.db()?.forget_leaving(&name)
    }

    /// Where the files of the export stand, or what did not come in.
    ///
    /// # Errors
    /// `no_export` where there is none.
    pub fn leaving_folder(&self, name: &str, to: &str, rest: bool) -> Result<PathBuf> {
        let record = self.leaving_record(&named(name)?, to)?;
        let folder = match rest {
            true => record.imported.and_then(|it| it.file).map(PathBuf::from),
            false => record.exported,
        };
        // A zip is shown where it lies.
        let folder = folder.map(|it| if it.is_file() { it.parent().unwrap_or(&it).to_owned() } else { it });
        folder
            .filter(|it| it.is_dir())
            .ok_or_else(|| Error::refused("no_export", "There is no such folder any more.").remedy("Export once more."))
    }

    /// Every one that is under way, from what is remembered: nobody is asked.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn leaving_under_way(&self) -> Result<Vec<LeavingView>> {
        let db = self.db()?;
        let mut views = Vec::new();
        for installation in db.installations()? {
            if let Some(record) = db.leaving(&installation.name)? {
                views.push(self.leaving_view(&installation.name, &record)?);
            }
        }
        Ok(views)
    }

    /// The line that leads back to it, on the card of the old installation and on that of the new one.
    pub(super) fn leaving_line(&self, db: &Db, name: &InstallationName) -> Result<Option<LeavingLine>> {
        let old = db.fresh_starts(None)?.into_iter().find(|it| it.successor == *name).map(|it| it.installation);
        let left = old.as_ref().unwrap_or(name);
        let Some(record) = db.leaving(left)?.filter(Record::is_under_way) else { return Ok(None) };
        let works = self.leaving_works(left, &record)?.is_some();
        Ok(Some(LeavingLine {
            installation: left.to_string(),
            to: record.to,
            step: record.step,
            is_return: record.is_return,
            works,
            is_stuck: record.problem.is_some() || (record.asked.is_some() && !works),
        }))
    }

    /// What is remembered; one for another version begins anew.
    fn leaving_record(&self, name: &InstallationName, to: &str) -> Result<Record> {
        let db = self.db()?;
        let installation = db.installation(name)?;
        let kept = db.leaving(name)?.filter(|it| it.to == to || it.asked.is_some());
        Ok(kept.unwrap_or_else(|| Record::new(installation.version.unwrap_or_default(), to.to_owned())))
    }

    fn leaving_view(&self, name: &InstallationName, record: &Record) -> Result<LeavingView> {
        let installation = self.db()?.installation(name)?;
        let profile = self.profile_of(&installation)?;
        let work = self.leaving_works(name, record)?;
        let fresh = self.fresh_start_of(name)?;
        let interrupted = record.asked.as_ref().filter(|_| work.is_none()).map(|asked| LeavingProblem {
            act: asked.act,
            error: ErrorView::from(
                &Error::failed("interrupted", "This was interrupted before it had ended.")
                    .remedy("Go on with it: what was done already is looked at and not done twice."),
            ),
        });
        let exported = record.exported.as_deref().and_then(|it| exported(it).ok());
        let step =
            if exported.is_none() && record.step == LeavingStep::Check { LeavingStep::Export } else { record.step };
        Ok(LeavingView {
            installation: name.to_string(),
            title: profile.application.name.clone(),
            from: record.from.clone(),
            to: record.to.clone(),
            step,
            is_return: record.is_return,
            reasons: record.reasons.clone(),
            help: help(&profile),
            notes: self
                .notes_view(name.as_str(), &record.to, false)
                .unwrap_or(NotesView { releases: Vec::new(), cut: false }),
            entities: record.entities.clone(),
            choice: record.choice(),
            work,
            problem: interrupted.or_else(|| record.problem.clone()),
            exported,
            fresh: fresh
                .map(|it| {
                    let is_in_use = it.state == FreshState::Complete;
                    let new = if is_in_use { self.db()?.installation(&it.successor).ok() } else { None };
                    Ok::<_, Error>(LeavingFresh {
                        url: new.and_then(|it| self.address_of(&it)),
                        installation: it.successor.to_string(),
                        state: it.state,
                        says: it.says,
                    })
                })
                .transpose()?,
            imported: record.imported.clone(),
            taken_back: record.taken_back.clone(),
        })
    }

    /// What can be exported, counted now.
    fn what_there_is(&self, name: &InstallationName) -> Result<Vec<LeavingEntity>> {
        let site = self.site(&self.db()?.installation(name)?)?;
        let declared = site.exports();
        let mut all = Vec::new();
        for (source, own) in declared_by_source(&site, &declared) {
            let Some(mut snapshot) = source.snapshot()? else { continue };
            for chosen in entity::entities(&own, &snapshot.tables()?, declared.is_empty())? {
                // What cannot be counted can be exported all the same.
                let rows = snapshot.totals(&chosen.table, &[], &Silent).ok().map(|it| it.rows);
                all.push(LeavingEntity { rows, key: chosen.entity, left_out: chosen.left_out });
            }
        }
        Ok(all)
    }

    fn why_it_breaks(&self, name: &InstallationName, to: &str) -> Result<Vec<String>> {
        let told = self.notice(name)?.offer.filter(|it| it.breaking && it.to == to);
        let mut reasons = told.map(|it| it.reasons).unwrap_or_default();
        reasons.push("Your existing data cannot be carried over automatically.".to_owned());
        Ok(reasons)
    }
}

/// The class of what ends a look; it is never shown.
const ENOUGH: &str = "seen_enough";

/// Each source with what the profile declares of it.
fn declared_by_source<'d>(site: &'d Site, declared: &'d [Export]) -> Vec<(&'d dyn Source, Vec<&'d Export>)> {
    let all = site.all_sources();
    let count = all.len();
    let of = |name: &str| {
        let belongs =
            |it: &&Export| it.store.as_deref().map_or(count == 1 || is_first(site, name), |store| store == name);
        declared.iter().filter(belongs).collect()
    };
    all.into_iter().map(|it| (it, of(it.name()))).collect()
}

/// What names no source is of the only one that has tables.
fn is_first(site: &Site, name: &str) -> bool {
    let is_database = |name: &str| site.profile.store(name).is_none_or(Store::is_database);
    let mut databases = site.all_sources().into_iter().map(Source::name).filter(|it| is_database(it));
    databases.next() == Some(name) && databases.next().is_none()
}

fn exported(folder: &Path) -> Result<LeavingExport> {
    let manifest = export::open(folder)?;
    let entities = manifest.entities.into_iter().map(|it| LeavingExported {
        bytes: bytes_of(&it),
        files: files_of(&it),
        key: it.entity,
        rows: it.rows,
        deleted: it.deleted.map_or(0, |it| it.rows),
    });
    Ok(LeavingExport {
        folder: folder.display().to_string(),
        made_at: manifest.made_at,
        notes: manifest.notes,
        entities: entities.collect(),
    })
}

/// A place on GitHub has one for questions.
fn help(profile: &Profile) -> Vec<HelpLink> {
    let releases = &profile.releases;
    if releases.api != "https://api.github.com" {
        return Vec::new();
    }
    vec![HelpLink {
        label: profile.application.name.clone(),
        url: format!("https://github.com/{}/issues", releases.repository),
    }]
}

fn shortened(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(LETTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}
