//! An export of a source into every form, and its rows as they stand in each of them.

use std::path::{Path, PathBuf};

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::{BytesForm, Entity, FileFormat, Manifest};
use liftlock_engine::export::{Request, check, export, open};
use liftlock_engine::import::read;
use liftlock_engine::model::profile::{Export, PartOf};
use liftlock_engine::ports::Reporter;
use liftlock_engine::process::Silent;
use liftlock_engine::stores::tables::Source;

pub(crate) const ALL: &[FileFormat] =
    &[FileFormat::Csv, FileFormat::JsonLines, FileFormat::JsonDocuments, FileFormat::Xlsx];

/// A row as people write it down in a test.
pub(crate) type Texts = Vec<Option<String>>;

pub(crate) fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let into = home.path().join("export");
    (home, into)
}

pub(crate) fn request(into: &Path) -> Request<'_> {
    Request {
        into,
        application: "Corner Shop",
        installation: "shop",
        version: Some("1.0.0"),
        declared: &[],
        only: &[],
        everything: false,
        formats: ALL,
        separator: ',',
        bytes: BytesForm::Hex,
        zip: false,
    }
}

pub(crate) fn exported(source: &dyn Source, into: &Path) -> Result<Manifest> {
    exported_while(source, into, &[], &Silent)
}

/// What is declared, with somebody who listens.
pub(crate) fn exported_while(
    source: &dyn Source,
    into: &Path,
    declared: &[Export],
    reporter: &dyn Reporter,
) -> Result<Manifest> {
    let manifest = export(&Request { declared, ..request(into) }, &[source], &SystemClock, reporter)?;
    assert_eq!(open(into).unwrap(), manifest, "what is told is what lies in the folder");
    check::check(into, &manifest, &Silent).unwrap();
    Ok(manifest)
}

pub(crate) fn entity(name: &str, part_of: Option<(&str, &str, &str)>) -> Export {
    let part_of =
        part_of.map(|(whole, by, member)| PartOf { entity: whole.into(), by: by.into(), member: member.into() });
    let table = name.into();
    Export {
        entity: name.into(),
        store: None,
        table,
        columns: Vec::new(),
        leave_out: Vec::new(),
        fill: Vec::new(),
        part_of,
        shows: Vec::new(),
        deleted: None,
        api: None,
    }
}

pub(crate) fn of<'m>(manifest: &'m Manifest, table: &str) -> &'m Entity {
    manifest.entities.iter().find(|it| it.table == table).unwrap_or_else(|| panic!("{table} in {manifest:?}"))
}

/// The rows of an entity as they would come in out of this form.
pub(crate) fn rows_in(folder: &Path, manifest: &Manifest, table: &str, format: FileFormat) -> Vec<Texts> {
    let mut entity = of(manifest, table).clone();
    entity.files.retain(|it| it.format == format);
    let mut rows = Vec::new();
    let text = |it: &Option<Vec<u8>>| it.clone().map(|it| String::from_utf8(it).unwrap());
    let input = read::choose(folder, manifest, &entity, &Silent).unwrap();
    let each = input.each(&mut |row| {
        rows.push(row.values.iter().map(text).collect());
        Ok(())
    });
    each.unwrap();
    rows
}

/// The rows of an entity, which are the same in every form.
pub(crate) fn rows(folder: &Path, manifest: &Manifest, table: &str) -> Vec<Texts> {
    let of_lines = rows_in(folder, manifest, table, FileFormat::JsonLines);
    for format in [FileFormat::Csv, FileFormat::JsonDocuments, FileFormat::Xlsx] {
        assert_eq!(rows_in(folder, manifest, table, format), of_lines, "{table} as {format:?}");
    }
    of_lines
}

/// The values of one column, in the order of the rows.
pub(crate) fn column(folder: &Path, manifest: &Manifest, table: &str, name: &str) -> Texts {
    let at = of(manifest, table).columns.iter().position(|it| it.column == name).unwrap();
    rows(folder, manifest, table).into_iter().map(|row| row[at].clone()).collect()
}

pub(crate) fn texts(all: &[Option<&str>]) -> Texts {
    all.iter().map(|it| it.map(ToOwned::to_owned)).collect()
}
