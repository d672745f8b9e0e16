//! Taking data out of an application: each entity as files that people and programs can read, with a manifest.
//!
//! All entities of a store are read in one snapshot, row by row, holding no more than a few rows in memory. The folder
//! appears under its name only when every file was read back and agreed with the database; until then it is called
//! `….unfinished`, bears our mark, and is thrown away by the next export to the same place. Nothing is written to the
//! application. Deliberately absent for now: XLSX, JSON documents, zip, and databases other than PostgreSQL.

pub mod check;
mod content;
pub mod csv;
pub mod entity;
pub mod lines;
pub mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File as Disk;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use self::content::{Content, Figures};
use self::entity::Chosen;
use self::manifest::{Column as Described, Entity, FORMAT, File, FileFormat, Manifest};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::Export;
use crate::ports::{Clock, Reporter, Unit};
use crate::stores::DataStore;
use crate::stores::tables::{Column, Holds, Row, Snapshot};

/// What our mark in an unfinished folder says.
const PURPOSE: &str = "export";
/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// What shall be exported, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The folder that is made.
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
}

/// Exports, checks, and answers with the manifest of the folder that then stands.
///
/// # Errors
/// `export_exists`, `no_tables`, `unknown_entity`, `entity_table_missing`, `entity_column_missing`, `bad_separator`;
/// what a store, the disk or `reporter` answered. There is no folder then.
pub fn export(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
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
        .remedy("Name another folder; an export never writes over anything."));
    }
    let unfinished = durable::beside(request.into, ".unfinished");
    durable::remove_tree_that_we_made(&unfinished, PURPOSE)?;
    durable::create_marked_dir(&unfinished, PURPOSE)?;
    let made = fill(request, &unfinished, stores, clock, reporter).and_then(|manifest| {
        durable::rename_new(&unfinished, request.into)?;
        Ok(manifest)
    });
    match made {
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

/// The manifest of the export in `folder`.
///
/// # Errors
/// `not_an_export`, `newer_export`; what the disk answered.
pub fn open(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let file = durable::open_no_follow(&path).map_err(|error| match error.class.as_ref() {
        "not_found" => not_an_export(folder).detail(error.message),
        _ => error,
    })?;
    let manifest: Manifest =
        serde_json::from_reader(io::BufReader::new(file)).map_err(|cause| not_an_export(folder).because(&cause))?;
    if manifest.format > FORMAT {
        return Err(Error::refused("newer_export", "This export was written by a newer Liftlock.")
            .remedy("Update Liftlock, then try again."));
    }
    Ok(manifest)
}

fn not_an_export(folder: &Path) -> Error {
    Error::usage("not_an_export", format!("{} does not hold an export.", folder.display()))
        .remedy("Name the folder that `liftlock export` made, with manifest.json in it.")
}

fn fill(
    request: &Request<'_>,
    folder: &Path,
    stores: &[&dyn DataStore],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Manifest> {
    let made_at = clock.now();
    let mut sources = Vec::new();
    let mut moments = BTreeMap::new();
    let mut origins = BTreeMap::new();
    for store in stores {
        let moment = store.moment(reporter)?;
        if let Some(mut snapshot) = store.snapshot()? {
            let tables = snapshot.tables()?;
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
            .remedy("Exports are read from PostgreSQL so far. A backup holds all of its data."));
    }
    let mut chosen: Vec<(usize, Chosen)> = Vec::new();
    let count = sources.len();
    for (at, (name, _, tables)) in sources.iter().enumerate() {
        let belongs = |it: &&Export| it.store.as_deref().map_or(count == 1, |store| store == *name);
        let declared: Vec<&Export> = request.declared.iter().filter(belongs).collect();
        chosen.extend(entity::entities(&declared, tables, request.everything)?.into_iter().map(|it| (at, it)));
    }
    let chosen = only(chosen, request.only)?;
    let mut names = BTreeSet::new();
    let mut entities = Vec::new();
    for (at, it) in &chosen {
        let (store, snapshot, ..) = &mut sources[*at];
        let stem = file_stem(&it.entity, &mut names);
        let one = write_entity(request, folder, store, snapshot.as_mut(), it, &stem, reporter);
        entities.push(one.map_err(|error| error.detail(format!("while exporting {}", it.entity)))?);
    }
    let manifest = Manifest {
        format: FORMAT,
        id: uuid::Uuid::now_v7().to_string(),
        application: request.application.to_owned(),
        installation: request.installation.to_owned(),
        version: request.version.map(ToOwned::to_owned),
        made_at,
        separator: request.separator,
        moments,
        origins,
        entities,
    };
    check::check(folder, &manifest, reporter)?;
    durable::write(&folder.join("README.txt"), manifest.readme().as_bytes())?;
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
fn file_stem(entity: &str, taken: &mut BTreeSet<String>) -> String {
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

fn write_entity(
    request: &Request<'_>,
    folder: &Path,
    store: &str,
    snapshot: &mut dyn Snapshot,
    chosen: &Chosen,
    stem: &str,
    reporter: &dyn Reporter,
) -> Result<Entity> {
    let columns: Vec<Column> = chosen.columns.iter().map(|(it, _)| it.clone()).collect();
    let labels: Vec<&str> = chosen.columns.iter().map(|(_, label)| label.as_str()).collect();
    reporter.say(&format!("exporting {}", chosen.entity));
    let totals = snapshot.totals(&chosen.table, &columns, reporter)?;
    let mut writers = request
        .formats
        .iter()
        .map(|format| Writer::create(folder, stem, *format, &labels, request.separator))
        .collect::<Result<Vec<_>>>()?;
    let mut content = Content::new(&columns);
    let mut take = |row: &Row<'_>| {
        content.take(row.iter().map(|it| it.as_deref()));
        for writer in &mut writers {
            writer.row(&columns, row, content.rows())?;
        }
        if content.rows().is_multiple_of(4096) {
            reporter.check()?;
            reporter.moved(content.rows(), Some(totals.rows), Unit::Rows);
        }
        Ok(())
    };
    snapshot.rows(&chosen.table, &columns, &mut take, reporter)?;
    let files = writers.into_iter().map(Writer::finish).collect::<Result<Vec<_>>>()?;
    let Figures { rows, filled, sums, sha256 } = content.finish();
    if (rows, &filled, &sums) != (totals.rows, &totals.filled, &totals.sums) {
        return Err(Error::failed(
            "export_differs",
            format!(
                "{}: {rows} rows were read where the database counts {}, or their totals differ.",
                chosen.entity, totals.rows
            ),
        )
        .remedy("Check the database for damage (a backup that is proven tells), then export again."));
    }
    let described = chosen.columns.iter().zip(totals.filled.iter().zip(&totals.sums));
    Ok(Entity {
        entity: chosen.entity.clone(),
        store: store.to_owned(),
        source: snapshot.source(),
        table: entity::name_of(&chosen.table),
        columns: described
            .map(|((column, label), (filled, sum))| Described {
                column: column.name.clone(),
                label: label.clone(),
                data_type: column.data_type.clone(),
                holds: column.holds,
                generated: column.generated,
                filled: *filled,
                sum: sum.map(|it| it.to_string()),
            })
            .collect(),
        left_out: chosen.left_out.clone(),
        key: chosen.table.key.clone(),
        refers: chosen.table.refers.clone(),
        rows,
        content_sha256: sha256,
        files,
    })
}

struct Writer {
    path: PathBuf,
    name: String,
    format: FileFormat,
    separator: u8,
    to: BufWriter<Hashing<Disk>>,
}

impl Writer {
    fn create(folder: &Path, stem: &str, format: FileFormat, labels: &[&str], separator: char) -> Result<Self> {
        let name = format!("{stem}.{}", format.extension());
        let path = folder.join(&name);
        let separator = u8::try_from(separator).unwrap_or(b',');
        let mut to = BufWriter::with_capacity(1 << 18, Hashing::new(durable::create_private_file(&path)?));
        if format == FileFormat::Csv {
            csv::write_head(&mut to, labels, separator).map_err(|cause| Error::io("write", &path, &cause))?;
        }
        Ok(Self { path, name, format, separator, to })
    }

    fn row(&mut self, columns: &[Column], row: &Row<'_>, number: u64) -> Result<()> {
        if let Some(at) = row.iter().position(|it| it.as_deref().is_some_and(|it| std::str::from_utf8(it).is_err())) {
            return Err(Error::failed(
                "not_text",
                format!(
                    "{}, row {number}: the value of “{}” is not text in any known form.",
                    self.name, columns[at].name
                ),
            )
            .remedy(
                "The database holds bytes that are not UTF-8 in a text column. Correct them there, then export again.",
            ));
        }
        let written = match self.format {
            FileFormat::JsonLines => lines::write_row(&mut self.to, columns, row),
            FileFormat::Csv => {
                let values = row.iter().zip(columns).map(|(value, column)| {
                    let value = value.as_deref()?;
                    let is_number = matches!(column.holds, Holds::Integer | Holds::Number);
                    Some(match (column.holds, value) {
                        (Holds::Boolean, b"t") => (&b"true"[..], false),
                        (Holds::Boolean, b"f") => (&b"false"[..], false),
                        _ => (value, is_number),
                    })
                });
                csv::write_row(&mut self.to, values, self.separator)
            }
        };
        written.map_err(|cause| Error::io("write", &self.path, &cause))
    }

    fn finish(mut self) -> Result<File> {
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        self.to.flush().map_err(|cause| failed(&cause))?;
        let (disk, sha256, bytes) = self.to.into_inner().map_err(|cause| failed(cause.error()))?.finish();
        disk.sync_all().map_err(|cause| failed(&cause))?;
        Ok(File { file: self.name, format: self.format, bytes, sha256 })
    }
}
