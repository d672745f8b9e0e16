//! The verbs about bringing an export in.
//!
//! A trial with the real tables comes first, always; only then anything stays. What came in is on record in the database
//! itself, in the same transaction, so an import that was interrupted goes on, and one that was wrong is taken back.

mod asked;
mod mapped;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backups::BackupKind;
use crate::crash::{self, Moment};
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export;
use crate::export::manifest::Manifest;
use crate::import::api::{ApiIntake, SCHEMA};
use crate::import::mapping::{Duplicates, Mapping};
use crate::import::read::{self, Input};
use crate::import::suggest::{same_rows, suggest};
use crate::import::{self, filled_in, left_behind, name_of, ready, rest};
use crate::model::ids::InstallationName;
use crate::model::profile::Export;
use crate::ports::{Reporter, Unit};
use crate::site::Site;
use crate::state::home::Home;
use crate::state::lease::Lease;
use crate::stores::intake::{Came, Entity, Intake, Run};
use crate::upgrade::work::this_process;
use crate::view::{ImportView, ImportedView, MappingView, PairAnswer, RowTrouble, TakenBackView, UndoneView};

pub use self::asked::{Asker, Said};
use self::asked::{has_answers, pairs_of, unanswered};

/// What comes where, in a file that people edit.
const MAPPING: &str = "mapping.toml";
/// Which import has begun and not ended.
const OPEN: &str = "open.json";
/// Rows with trouble that a view tells one by one, for each entity. All of them are in the file of the rest.
const TOLD: usize = 100;

/// What a person chose.
#[derive(Debug, Clone, Default)]
pub struct ImportChoice {
    /// The folder or the zip of the export.
    pub from: PathBuf,
    /// The mapping; the one that was used last, or a suggestion, otherwise.
    pub mapping: Option<PathBuf>,
    /// What happens to rows that are there, whatever the mapping says.
    pub duplicates: Option<Duplicates>,
    /// It comes back to the installation that it was made of: its rows are known by the keys that they have.
    pub same_rows: bool,
    /// What a person said of single rows that are there.
    pub answers: Vec<PairAnswer>,
    /// Only these entities; all of the mapping where empty.
    pub only: Vec<String>,
    /// Only try.
    pub trial: bool,
    /// Bring in what can come in, also where some rows cannot.
    pub partly: bool,
}

/// An import that has begun and not ended: the next one of the same export goes on with it.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    run: String,
    export: String,
}

impl Engine {
    /// What of an export would come into which table and column.
    ///
    /// # Errors
    /// `unknown_installation`, `not_an_export`, `no_intake`; what the database answered.
    pub fn suggest_mapping(&self, name: &InstallationName, from: &Path) -> Result<MappingView> {
        let site = self.site(&self.db()?.installation(name)?)?;
        let manifest = export::open(from)?;
        let tables = intake(&site)?.tables()?;
        let declared = site.exports();
        let mapping = suggest(&manifest, &tables, &declared);
        let problem = ready(&mapping, &manifest, &tables, &[]).err().map(|it| it.message);
        let into: Vec<String> = tables.iter().map(name_of).collect();
        let mut left_behind = left_behind(&mapping, &manifest);
        left_behind.extend(filled_in(&mapping, &declared));
        Ok(MappingView { text: mapping.text()?, mapping, problem, left_behind, tables: into })
    }

    /// Tries every row of an export, and brings them in where all can come in, or where the others may stay out.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`, `not_an_export`, `bad_mapping`, `duplicates_unanswered`, those of reading a
    /// file with file, line and column; what the database answered: the entity at hand did not come in then, the ones before did.
    pub fn import(
        &self,
        name: &InstallationName,
        choice: &ImportChoice,
        reporter: &dyn Reporter,
    ) -> Result<ImportView> {
        self.import_asking(name, choice, &|_| None, reporter)
    }

    /// The same, where somebody can be asked about each row that is there already.
    ///
    /// # Errors
    /// Those of [`Engine::import`].
    pub fn import_asking(
        &self,
        name: &InstallationName,
        choice: &ImportChoice,
        asker: &Asker<'_>,
        reporter: &dyn Reporter,
    ) -> Result<ImportView> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let manifest = export::open(&choice.from)?;
        let opened = self.opened_export(&choice.from, reporter)?;
        let choice = &ImportChoice { from: opened.folder.clone(), ..choice.clone() };
        if !choice.trial {
            // What cannot be read or does not fit is told before anything takes time.
            let site = self.site(&installation)?;
            let mut intake = intake(&site)?;
            let (mapping, _) = self.mapping_of(name, choice, &manifest, intake.as_mut(), &site.exports())?;
            let (_, needed) = ready(&mapping, &manifest, &intake.tables()?, &choice.only)?;
            for number in needed {
                read::choose(&choice.from, &manifest, &manifest.entities[number], reporter)?;
            }
            // One that goes on has the backup of its beginning. A backup takes the lease by itself.
            if self.open_import(name, &manifest.id).is_none() {
                self.back_up(name, BackupKind::Manual, "before an import", reporter)?;
            }
        }
        let holder = this_process(self.clock.as_ref(), "import")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        let mut intake = intake(&site)?;
        let (mapping, notes) = self.mapping_of(name, choice, &manifest, intake.as_mut(), &site.exports())?;
        let done = self.bring(name, choice, (&manifest, &mapping), intake.as_mut(), asker, reporter);
        // What was laid down goes whatever happened; the first error is the one to tell.
        let ended = intake.end();
        let mut view = done?;
        ended?;
        view.notes.splice(0..0, notes);
        Ok(view)
    }

    /// Takes back what an import brought in: the newest one, or the one that is named.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`, `no_import`; what the database answered: nothing was taken back then.
    pub fn undo_import(
        &self,
        name: &InstallationName,
        run: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<UndoneView> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "import")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        let mut intake = intake(&site)?;
        let runs = intake.runs()?;
        let chosen = match run {
            Some(run) => runs.iter().find(|it| it.as_str() == run),
            None => runs.first(),
        };
        let run = chosen.ok_or_else(|| {
            Error::refused("no_import", format!("Nothing of such an import is in {name}."))
                .remedy("An import can be taken back as long as what it brought in is there.")
        })?;
        let taken = intake.take_back(run, reporter)?;
        let _ = std::fs::remove_file(self.imports(name).join(OPEN));
        Ok(UndoneView {
            run: run.clone(),
            tables: taken
                .into_iter()
                .map(|it| TakenBackView {
                    table: it.table,
                    removed: it.removed,
                    restored: it.restored,
                    stays: it.staying,
                    why: it.stay.into_iter().take(TOLD).collect(),
                })
                .collect(),
        })
    }

    fn imports(&self, name: &InstallationName) -> PathBuf {
        imports_of(&self.home, name)
    }

    /// The import of this export that has begun and not ended.
    fn open_import(&self, name: &InstallationName, export: &str) -> Option<String> {
        let text = std::fs::read(self.imports(name).join(OPEN)).ok()?;
        serde_json::from_slice::<Open>(&text).ok().filter(|it| it.export == export).map(|it| it.run)
    }

    /// The mapping that was given, or lies beside the rows, or was used last, or is suggested; with what to say about that.
    fn mapping_of(
        &self,
        name: &InstallationName,
        choice: &ImportChoice,
        manifest: &Manifest,
        intake: &mut dyn Intake,
        declared: &[Export],
    ) -> Result<(Mapping, Vec<String>)> {
        let tables = intake.tables()?;
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).map_err(|cause| Error::io("read", path, &cause))?;
            Mapping::parse(&text, &file_name(path))
        };
        if choice.same_rows && choice.mapping.is_none() {
            let (mut mapping, mut notes) = same_rows(manifest, &tables);
            let mut known = manifest.clone();
            known.entities.retain(|it| !mapping.left_out.contains(&it.entity));
            notes.extend(left_behind(&mapping, &known));
            notes.push("Rows that were removed in the other version are not removed here.".to_owned());
            for it in &mut mapping.entities {
                it.duplicates = choice.duplicates.unwrap_or(it.duplicates);
            }
            return Ok((mapping, notes));
        }
        let suggested = suggest(manifest, &tables, declared);
        let (beside, remembered) = (choice.from.join(MAPPING), self.imports(name).join(MAPPING));
        let mut notes = Vec::new();
        let mut mapping = match &choice.mapping {
            Some(path) => read(path)?,
            // A file of the rest holds some of the entities only; how they go together is said beside them.
            None if beside.is_file() => read(&beside)?,
            None => match read(&remembered).ok().and_then(|it| completed(it, &suggested)) {
                Some(it) if ready(&it, manifest, &tables, &choice.only).is_ok() => {
                    notes.push("The mapping of the last import is used again.".to_owned());
                    it
                }
                _ => suggested,
            },
        };
        if let Some(unknown) = choice.only.iter().find(|only| !mapping.entities.iter().any(|it| it.entity == **only)) {
            return Err(Error::usage("unknown_entity", format!("Nothing called “{unknown}” comes in."))
                .remedy("`liftlock import FOLDER --show-mapping` shows what does."));
        }
        if !mapping.entities.iter().any(|it| manifest.entities.iter().any(|exported| exported.entity == it.entity)) {
            return Err(Error::refused("nothing_fits", "Nothing of this export fits a table of the application.")
                .remedy("Write a mapping by hand: `liftlock import FOLDER --show-mapping` prints the form of one."));
        }
        for it in &mut mapping.entities {
            it.duplicates = choice.duplicates.unwrap_or(it.duplicates);
        }
        notes.extend(left_behind(&mapping, manifest));
        notes.extend(filled_in(&mapping, declared));
        Ok((mapping, notes))
    }

    fn bring(
        &self,
        name: &InstallationName,
        choice: &ImportChoice,
        (manifest, mapping): (&Manifest, &Mapping),
        intake: &mut dyn Intake,
        asker: &Asker<'_>,
        reporter: &dyn Reporter,
    ) -> Result<ImportView> {
        let tables = intake.tables()?;
        let (mut entities, needed) = ready(mapping, manifest, &tables, &choice.only)?;
        intake.prepare(&entities)?;
        let mut inputs = BTreeMap::new();
        let mut notes = Vec::new();
        for number in needed {
            let exported = &manifest.entities[number];
            let input = read::choose(&choice.from, manifest, exported, reporter)?;
            if input.edited {
                notes.push(format!(
                    "{} was edited since it was exported; it comes in as it is now.",
                    file_name(&input.path)
                ));
            }
            import::lay_down(intake, number, &input, exported, reporter)?;
            inputs.insert(number, input);
        }
        crash::point("forward", "import/laid", Moment::AfterEffect);
        let open = self.imports(name).join(OPEN);
        let id = self.open_import(name, &manifest.id).unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        // What is known by its own key is compared anew each time.
        let source = if choice.same_rows { manifest.id.clone() } else { manifest.source() };
        let run = Run { id, source };

        for entity in &mut entities {
            let own = choice.answers.iter().filter(|it| it.entity == entity.entity);
            entity.answers = own.map(|it| (it.key.clone(), it.takes)).collect();
        }
        let (tried, pairs) = loop {
            let mut tried = Vec::new();
            for entity in &entities {
                reporter.say(&format!("trying {}", entity.entity));
                tried.push(intake.bring_in(&run, entity, true, reporter)?);
            }
            intake.forget_trial()?;
            let pairs = pairs_of(&entities, &tried, &inputs)?;
            if choice.trial || !has_answers(&mut entities, &pairs, asker) {
                break (tried, pairs);
            }
        };
        crash::point("forward", "import/tried", Moment::AfterEffect);
        let out: u64 = tried.iter().map(|it| it.out).sum();
        unanswered(&entities, &tried, choice.trial)?;
        if choice.trial || (out > 0 && !choice.partly) {
            let (rest, lines) = self.write_rest(name, &run.id, manifest, mapping, &entities, &inputs, &tried)?;
            let mut view = view(&run.id, true, manifest, &entities, &tried, rest, &lines, notes);
            for (shown, pairs) in view.entities.iter_mut().zip(pairs) {
                shown.pairs = pairs;
            }
            return Ok(view);
        }

        durable::create_private_dir(&self.imports(name))?;
        let text = serde_json::to_vec(&Open { run: run.id.clone(), export: manifest.id.clone() })
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        durable::write(&open, &text)?;
        let mut came = Vec::new();
        for (at, entity) in entities.iter().enumerate() {
            reporter.say(&format!("bringing in {}", entity.entity));
            crash::point("forward", &format!("import/{at}"), Moment::AfterIntent);
            came.push(intake.bring_in(&run, entity, false, reporter)?);
            crash::point("forward", &format!("import/{at}"), Moment::AfterEffect);
            reporter.moved(at as u64 + 1, Some(entities.len() as u64), Unit::Files);
        }
        if !choice.same_rows {
            durable::write(&self.imports(name).join(MAPPING), mapping.text()?.as_bytes())?;
        }
        let (rest, lines) = self.write_rest(name, &run.id, manifest, mapping, &entities, &inputs, &came)?;
        std::fs::remove_file(&open).map_err(|cause| Error::io("remove", &open, &cause))?;
        Ok(view(&run.id, false, manifest, &entities, &came, rest, &lines, notes))
    }

    /// The rows that did not come in, each with the reason; their folder, and the lines that they stand on.
    #[allow(clippy::too_many_arguments, reason = "one place that lays out the folder")]
    fn write_rest(
        &self,
        name: &InstallationName,
        run: &str,
        manifest: &Manifest,
        mapping: &Mapping,
        entities: &[Entity],
        inputs: &BTreeMap<usize, Input>,
        came: &[Came],
    ) -> Result<(Option<PathBuf>, Vec<rest::Lines>)> {
        if came.iter().all(|it| it.troubles.is_empty()) {
            return Ok((None, vec![rest::Lines::new(); entities.len()]));
        }
        let moment = self.clock.now().format("%Y-%m-%dT%H-%M-%S%.3fZ").to_string();
        let folder = self.imports(name).join(format!("rest-{moment}-{}", &run[run.len() - 6..]));
        durable::create_private_dir(&folder)?;
        let (mut described, mut lines) = (Vec::new(), Vec::new());
        let mut taken = BTreeSet::new();
        for (entity, came) in entities.iter().zip(came) {
            let Some(input) = inputs.get(&entity.staged).filter(|_| !came.troubles.is_empty()) else {
                lines.push(rest::Lines::new());
                continue;
            };
            let exported = &manifest.entities[entity.staged];
            let (one, at) = rest::write(&folder, exported, input, manifest.separator, &mut taken, &came.troubles)?;
            described.push(one);
            lines.push(at);
        }
        // What these gather comes along, or nothing could be gathered the next time.
        for number in inputs.keys().filter(|it| !entities.iter().any(|entity| entity.staged == **it)) {
            let exported = &manifest.entities[*number];
            let mut copied = exported.clone();
            copied.files.retain(|it| inputs[number].path.ends_with(&it.file));
            for file in &copied.files {
                let beside = file.beside.iter().map(|it| &it.file);
                for name in std::iter::once(&file.file).chain(beside) {
                    let to = folder.join(name);
                    let from = inputs[number].path.with_file_name(name);
                    std::fs::copy(from, &to).map_err(|cause| Error::io("copy to", &to, &cause))?;
                }
            }
            for (kept, ..) in exported.folders() {
                let (from, to) = (inputs[number].path.with_file_name(kept), folder.join(kept));
                durable::create_private_dir(&to)?;
                for path in durable::entries(&from)? {
                    let to = to.join(path.file_name().unwrap_or_default());
                    std::fs::copy(&path, &to).map_err(|cause| Error::io("copy to", &to, &cause))?;
                }
            }
            described.push(copied);
        }
        durable::write(&folder.join(MAPPING), mapping.text()?.as_bytes())?;
        rest::write_manifest(&folder, manifest, described)?;
        Ok((Some(folder), lines))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A mapping that was used before, with what is suggested for what it says nothing about.
fn completed(mut mapping: Mapping, suggested: &Mapping) -> Option<Mapping> {
    let knows = |name: &String| mapping.left_out.contains(name) || mapping.entities.iter().any(|it| it.entity == *name);
    let fresh: Vec<_> = suggested.entities.iter().filter(|it| !knows(&it.entity)).cloned().collect();
    let knows_any = suggested.entities.iter().any(|it| knows(&it.entity));
    mapping.entities.extend(fresh);
    knows_any.then_some(mapping)
}

/// What rows can come into: the application itself where it takes them, and the one store that has tables for them.
fn intake(site: &Site) -> Result<Box<dyn Intake>> {
    let mut tables = None;
    for store in &site.stores {
        tables = store.intake()?;
        if tables.is_some() {
            break;
        }
    }
    if let Some(reached) = site.api()? {
        let folder = imports_of(&site.home, &site.installation.name);
        return Ok(Box::new(ApiIntake::open(reached, site.through_the_api(), &folder, tables)?));
    }
    tables.ok_or_else(|| {
        Error::refused("no_intake", "This application has no database that an export can be brought into.")
            .remedy("Exports come into PostgreSQL, or through the application where its profile declares an [api].")
    })
}

fn imports_of(home: &Home, name: &InstallationName) -> PathBuf {
    home.root().join("imports").join(name.as_str())
}

#[allow(clippy::too_many_arguments, reason = "one place that lays out the view")]
fn view(
    run: &str,
    trial: bool,
    manifest: &Manifest,
    entities: &[Entity],
    came: &[Came],
    rest: Option<PathBuf>,
    lines: &[rest::Lines],
    notes: Vec<String>,
) -> ImportView {
    let shown = entities.iter().zip(came).zip(lines).map(|((entity, came), lines)| ImportedView {
        entity: entity.entity.clone(),
        into: if entity.table.schema == SCHEMA { "the application".to_owned() } else { name_of(&entity.table) },
        rows: came.rows,
        inserted: came.inserted,
        updated: came.updated,
        skipped: came.skipped,
        earlier: came.earlier,
        out: came.out,
        altered: came.altered,
        asked: came.asked,
        pairs: Vec::new(),
        troubles: came
            .troubles
            .iter()
            .take(TOLD)
            .map(|it| RowTrouble {
                row: it.n,
                line: lines.get(&it.n).copied(),
                column: it.col.clone(),
                why: it.why.clone(),
            })
            .collect(),
    });
    ImportView {
        run: run.to_owned(),
        trial,
        export: manifest.id.clone(),
        entities: shown.collect(),
        rest: rest.map(|it| it.display().to_string()),
        notes,
    }
}
