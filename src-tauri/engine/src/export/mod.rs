//! Taking data out of an application: each entity as files that people and programs can read, with a manifest.
//!
//! All entities of a store are read in one snapshot, row by row, holding no more than a few rows in memory. The folder
//! appears under its name only when every file was read back and agreed with the database; until then it is called
//! `….unfinished`, bears our mark, and is thrown away by the next export to the same place. Nothing is written to the
//! application. What a database is and how it is read stands in `stores`.

mod apart;
pub mod bytes;
mod cells;
pub mod check;
pub mod csv;
pub mod documents;
pub mod entity;
mod fill;
pub mod lines;
pub mod manifest;
pub mod packed;
pub mod sheets;
mod shown;
mod workbook;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use self::entity::Chosen;
use self::fill::Work;
use self::manifest::{BytesForm, FORMAT, FileFormat, Manifest, SINCE_ONLY_TO_READ};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::Export;
use crate::ports::{Clock, Reporter};
use crate::stores::tables::Source;

/// What our mark in an unfinished folder says.
const PURPOSE: &str = "export";
/// The zip, until it is compared with what lay in the folder.
const PACKED: &str = ".packed";
/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The name of its words for people.
const README: &str = "README.txt";

/// What shall be exported, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The folder or the zip that is made.
    pub into: &'a Path,
    /// The application, in words.
    pub application: &'a str,
    /// The installation.
    pub installation: &'a str,
    /// The version that runs, where it is known.
    pub version: Option<&'a str>,
    /// What the profile declares.
    pub declared: &'a [Export],
    /// Only these entities; all where empty.
    pub only: &'a [String],
    /// Every other table too.
    pub everything: bool,
    /// The forms of files.
    pub formats: &'a [FileFormat],
    /// What separates the fields of CSV files.
    pub separator: char,
    /// How pictures and other bytes are written.
    pub bytes: BytesForm,
    /// Packed into one file instead of a folder.
    pub zip: bool,
}

/// Exports, checks, and answers with the manifest of the folder that then stands.
///
/// # Errors
/// `export_exists`, `no_tables`, `unknown_entity`, `entity_table_missing`, `entity_column_missing`, `bad_separator`;
/// what a source, the disk or `reporter` answered. There is no folder then.
pub fn export(
    request: &Request<'_>,
    from: &[&dyn Source],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Manifest> {
    if !matches!(request.separator, ',' | ';' | '\t') {
        return Err(Error::usage("bad_separator", "Fields cannot be separated by that.")
            .remedy("Use a comma, a semicolon or a tab."));
    }
    if request.into.symlink_metadata().is_ok() {
        return Err(Error::refused(
            "export_exists",
            format!("There is something at {} already.", request.into.display()),
        )
        .remedy("Name another place; an export never writes over anything."));
    }
    let unfinished = durable::beside(request.into, ".unfinished");
    durable::remove_tree_that_we_made(&unfinished, PURPOSE)?;
    durable::create_marked_dir(&unfinished, PURPOSE)?;
    let made = fill(request, &unfinished, from, clock, reporter).and_then(|manifest| {
        if request.zip {
            let packed = unfinished.join(PACKED);
            packed::pack(&unfinished, &manifest, &packed, reporter)?;
            durable::rename_new(&packed, request.into)?;
        } else {
            durable::rename_new(&unfinished, request.into)?;
        }
        Ok(manifest)
    });
    match made {
        Ok(manifest) if request.zip => {
            durable::remove_tree_that_we_made(&unfinished, PURPOSE)?;
            Ok(manifest)
        }
        Ok(manifest) => {
            // From here on nothing may take the folder for one that can be thrown away.
            durable::unmark(request.into)?;
            Ok(manifest)
        }
        Err(error) => {
            // The first error is the one to tell; what is left bears our mark and goes with the next export.
            let _ = durable::remove_tree_that_we_made(&unfinished, PURPOSE);
            Err(error)
        }
    }
}

/// The manifest of the export in a folder or a zip.
///
/// # Errors
/// `not_an_export`, `newer_export`, `damaged_zip`; what the disk answered.
pub fn open(from: &Path) -> Result<Manifest> {
    let failed = |cause: serde_json::Error| not_an_export(from).because(&cause);
    let document: serde_json::Value = if from.is_file() {
        serde_json::from_slice(&packed::manifest_of(from)?).map_err(failed)?
    } else {
        let file = durable::open_no_follow(&from.join(MANIFEST)).map_err(|error| match error.class.as_ref() {
            "not_found" => not_an_export(from).detail(error.message),
            _ => error,
        })?;
        serde_json::from_reader(io::BufReader::new(file)).map_err(failed)?
    };
    // A newer form may hold words that are not known here.
    if document.get("format").and_then(serde_json::Value::as_u64).is_some_and(|it| it > u64::from(FORMAT)) {
        return Err(Error::refused("newer_export", "This export was written by a newer Liftlock.")
            .remedy("Update Liftlock, then try again."));
    }
    serde_json::from_value(document).map_err(failed)
}

fn not_an_export(from: &Path) -> Error {
    Error::usage("not_an_export", format!("{} does not hold an export.", from.display()))
        .remedy("Name the folder or the zip that `liftlock export` made, with manifest.json in it.")
}

fn fill(
    request: &Request<'_>,
    folder: &Path,
    from: &[&dyn Source],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Manifest> {
    let made_at = clock.now();
    let mut sources = Vec::new();
    let mut moments = BTreeMap::new();
    let mut origins = BTreeMap::new();
    let mut notes = Vec::new();
    for store in from {
        let moment = store.moment(reporter)?;
        if let Some(mut snapshot) = store.snapshot()? {
            let tables = snapshot.tables()?;
            notes.extend(snapshot.notes());
            sources.push((store.name(), snapshot, tables));
            moments.insert(store.name().to_owned(), moment);
            // Only more is known with it.
            if let Ok(Some(origin)) = store.identity() {
                origins.insert(store.name().to_owned(), origin);
            }
        }
    }
    if sources.is_empty() {
        return Err(Error::refused("no_tables", "This application has no database that can be exported.")
            .remedy("Exports are read from PostgreSQL, SQLite, and MySQL, MariaDB or SQL Server as a source of the profile. A backup holds all of its data."));
    }
    // Where nothing is declared at all it is the tables themselves.
    let everything = request.everything || request.declared.is_empty();
    let mut chosen: Vec<(usize, Chosen)> = Vec::new();
    let count = sources.len();
    for (at, (name, _, tables)) in sources.iter().enumerate() {
        let belongs = |it: &&Export| it.store.as_deref().map_or(count == 1, |store| store == *name);
        let declared: Vec<&Export> = request.declared.iter().filter(belongs).collect();
        chosen.extend(entity::entities(&declared, tables, everything)?.into_iter().map(|it| (at, it)));
    }
    // Two databases may have tables of the same name: what is declared keeps its own.
    let mut names: BTreeSet<String> = request.declared.iter().map(|it| it.entity.clone()).collect();
    for (at, it) in chosen.iter_mut().filter(|(_, it)| !it.is_declared) {
        if !names.insert(it.entity.clone()) {
            it.entity = format!("{} ({})", it.entity, sources[*at].0);
        }
    }
    let chosen = only(chosen, request.only)?;
    let entities = Work::new(request, folder, reporter)?.all(&chosen, &mut sources)?;
    // Nobody waits for us to let go while files are read back.
    drop(sources);
    let is_new = |it: &manifest::Column| it.only_to_read || it.bytes.is_some();
    let has_new = entities.iter().any(|it| it.columns.iter().any(is_new));
    let since = request.formats.iter().map(|it| it.since());
    let manifest = Manifest {
        format: since.chain(has_new.then_some(SINCE_ONLY_TO_READ)).max().unwrap_or(1),
        id: uuid::Uuid::now_v7().to_string(),
        application: request.application.to_owned(),
        installation: request.installation.to_owned(),
        version: request.version.map(ToOwned::to_owned),
        made_at,
        separator: request.separator,
        moments,
        origins,
        notes,
        entities,
    };
    check::check(folder, &manifest, reporter)?;
    durable::write(&folder.join(README), manifest.readme().as_bytes())?;
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|cause| Error::bug("bad_manifest", "The manifest cannot be written.").because(&cause))?;
    durable::write(&folder.join(MANIFEST), &text)?;
    Ok(manifest)
}

fn only(chosen: Vec<(usize, Chosen)>, only: &[String]) -> Result<Vec<(usize, Chosen)>> {
    if only.is_empty() {
        return Ok(chosen);
    }
    let unknown = only.iter().find(|name| !chosen.iter().any(|(_, it)| it.entity == **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = chosen.iter().map(|(_, it)| it.entity.as_str()).collect();
        return Err(Error::usage("unknown_entity", format!("There is nothing called “{name}” to export."))
            .remedy(format!("Name one of these: {}.", known.join(", "))));
    }
    Ok(chosen.into_iter().filter(|(_, it)| only.contains(&it.entity)).collect())
}

/// A name for the files of an entity that every file system takes, and that no other has.
pub(crate) fn file_stem(entity: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let base: String = entity.to_lowercase().chars().map(plain).take(60).collect();
    // Windows keeps a few names for itself, and ours are taken too.
    let base = format!("{base}{}", if matches!(base.as_str(), "con" | "nul" | "aux" | "prn") { "-" } else { "" });
    let mut stem = base.clone();
    let mut number = 2;
    while !taken.insert(stem.clone()) {
        stem = format!("{base}-{number}");
        number += 1;
    }
    stem
}
