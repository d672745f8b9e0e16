//! Writing the rows of all entities, each in every form that was asked for, in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use liftlock_rows::content::{Content, Figures};

use super::bytes;
use super::documents::{self, Part, Waiting};
use super::entity::{self, Chosen};
use super::manifest::{Column as Described, Deleted, Entity, File, FileFormat};
use super::shown::Shown;
use super::workbook::{self, Book, ROWS_A_SHEET};
use super::write::{self, Writer};
use super::{Request, file_stem};
use crate::digest::hex;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::stores::tables::{Column, Row, Snapshot, Table};

/// A store that is read: its name, its snapshot and its tables.
pub(super) type Source<'s> = (&'s str, Box<dyn Snapshot>, Vec<Table>);

/// What is being written.
pub(super) struct Work<'r> {
    request: &'r Request<'r>,
    folder: &'r Path,
    reporter: &'r dyn Reporter,
    names: BTreeSet<String>,
    book: Option<Book>,
}

/// How an entity goes together with others in documents.
#[derive(Default)]
struct Bonds {
    /// It belongs to another one: which, the column that names it, and the column there that is named.
    part: Option<(usize, usize, usize)>,
    /// Columns by which its rows must come in order.
    order: Vec<String>,
}

/// An entity that was written.
struct Written {
    entity: Entity,
    sheets: Vec<String>,
    waiting: Option<Waiting>,
}

impl<'r> Work<'r> {
    pub(super) fn new(request: &'r Request<'r>, folder: &'r Path, reporter: &'r dyn Reporter) -> Result<Self> {
        let (mut names, mut book) = (BTreeSet::new(), None);
        if request.formats.contains(&FileFormat::Xlsx) {
            let stem = file_stem(request.installation, &mut names);
            names.insert(workbook::beside_stem(&stem));
            book = Some(Book::create(folder, &stem, ROWS_A_SHEET)?);
        }
        Ok(Self { request, folder, reporter, names, book })
    }

    /// Writes all of them, each read from the source whose number stands with it.
    pub(super) fn all(mut self, chosen: &[(usize, Chosen)], sources: &mut [Source<'_>]) -> Result<Vec<Entity>> {
        let bonds =
            if self.has_documents() { bonds(chosen)? } else { chosen.iter().map(|_| Bonds::default()).collect() };
        let stems: Vec<String> = chosen.iter().map(|(_, it)| file_stem(&it.entity, &mut self.names)).collect();
        let mut parts: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
        let mut entities: Vec<Option<(Entity, Vec<String>)>> = chosen.iter().map(|_| None).collect();
        // What belongs to others waits for them.
        let (first, then): (Vec<usize>, Vec<usize>) = (0..chosen.len()).partition(|it| bonds[*it].part.is_some());
        for at in first.into_iter().chain(then) {
            let (source, it) = &chosen[at];
            let (store, snapshot, ..) = &mut sources[*source];
            let own = parts.remove(&at).unwrap_or_default();
            let members: Vec<String> = own.iter().map(|it| it.member().to_owned()).collect();
            let one = self.entity(store, snapshot.as_mut(), it, &stems[at], &bonds[at], own);
            let mut one = one.map_err(|error| told_of(&it.entity, error))?;
            for file in one.entity.files.iter_mut().filter(|it| it.format == FileFormat::JsonDocuments) {
                file.parts.clone_from(&members);
            }
            if let (Some(waiting), Some((whole, _, named)), Some(part_of)) = (one.waiting, bonds[at].part, &it.part_of)
            {
                parts.entry(whole).or_default().push(waiting.finish(part_of.member.clone(), named)?);
            }
            entities[at] = Some((one.entity, one.sheets));
        }
        self.finish(entities.into_iter().flatten().collect(), &bonds, chosen)
    }

    /// Adds the files that hold more than one entity.
    fn finish(
        self,
        entities: Vec<(Entity, Vec<String>)>,
        bonds: &[Bonds],
        chosen: &[(usize, Chosen)],
    ) -> Result<Vec<Entity>> {
        let (mut entities, sheets): (Vec<Entity>, Vec<Vec<String>>) = entities.into_iter().unzip();
        for (at, bond) in bonds.iter().enumerate() {
            let (Some((whole, ..)), Some(part_of)) = (bond.part, &chosen[at].1.part_of) else { continue };
            let file = entities[whole].files.iter().find(|it| it.format == FileFormat::JsonDocuments).cloned();
            let member = Some(part_of.member.clone());
            entities[at].files.extend(file.map(|it| File { parts: Vec::new(), member, ..it }));
        }
        if let Some(book) = self.book {
            self.reporter.say("packing the workbook");
            let (file, beside) = book.finish(self.reporter)?;
            for (entity, sheets) in entities.iter_mut().zip(sheets) {
                entity.files.push(File { sheets, beside: beside.clone(), ..file.clone() });
            }
        }
        Ok(entities)
    }

    fn has_documents(&self) -> bool {
        self.request.formats.contains(&FileFormat::JsonDocuments)
    }

    fn entity(
        &mut self,
        store: &str,
        snapshot: &mut dyn Snapshot,
        chosen: &Chosen,
        stem: &str,
        bonds: &Bonds,
        parts: Vec<Part>,
    ) -> Result<Written> {
        let Self { request, folder, reporter, .. } = *self;
        let read: Vec<Column> = chosen.columns.iter().map(|(it, _)| it.clone()).collect();
        reporter.say(&format!("exporting {}", chosen.entity));
        let totals = snapshot.totals(&chosen.table, &read, reporter)?;
        let mut shown = Shown::of(chosen, snapshot, folder, reporter)?;
        let (columns, labels) = (shown.columns.clone(), shown.labels.clone());
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let places: Vec<Option<usize>> = shown.read().collect();
        let is_plain = shown.is_plain();
        let of_text = |it: &&FileFormat| matches!(it, FileFormat::Csv | FileFormat::JsonLines);
        let mut writers = request
            .formats
            .iter()
            .filter(of_text)
            .map(|format| Writer::create(folder, stem, *format, &labels, request.separator))
            .collect::<Result<Vec<_>>>()?;
        let (mut documents, mut waiting) = (None, None);
        match bonds.part {
            Some((_, by, _)) => waiting = Some(Waiting::create(folder.join(format!(".{stem}.waiting")), by)?),
            None if self.has_documents() => documents = Some(documents::Writer::create(folder, stem, parts)?),
            None => {}
        }
        let mut book = self.book.as_mut();
        if let Some(book) = &mut book {
            let comes_back = |(at, it): (&Option<usize>, &Column)| at.is_some() && !it.generated;
            let comes_back: Vec<bool> = places.iter().zip(&columns).map(comes_back).collect();
            book.begin(&chosen.entity, &labels, &columns, &comes_back)?;
        }
        let names = &mut self.names;
        let mut bytes = bytes::Writer::create(folder, (&chosen.entity, stem), &columns, request.bytes, names)?;
        let has_plain_bytes = bytes.is_plain();
        let mut content = Content::new(&columns);
        let mut take = |row: &Row<'_>| {
            let wide;
            let row = if is_plain {
                row
            } else {
                wide = shown.row(row)?;
                &wide
            };
            content.take(row);
            write::text_alone(&chosen.entity, &columns, row, content.rows())?;
            let written;
            let row = if has_plain_bytes {
                row
            } else {
                written = bytes.row(row, content.rows())?;
                &written
            };
            for writer in &mut writers {
                writer.row(&columns, row)?;
            }
            if let Some(book) = &mut book {
                book.row(row)?;
            }
            if let Some(documents) = &mut documents {
                documents.row(&columns, row)?;
            }
            if let Some(waiting) = &mut waiting {
                waiting.row(&columns, row)?;
            }
            if content.rows().is_multiple_of(4096) {
                reporter.check()?;
                reporter.moved(content.rows(), Some(totals.rows), Unit::Rows);
            }
            Ok(())
        };
        snapshot.rows(&chosen.table, &read, &bonds.order, &mut take, reporter)?;
        let mut files = writers.into_iter().map(Writer::finish).collect::<Result<Vec<_>>>()?;
        files.extend(documents.map(documents::Writer::finish).transpose()?);
        let sheets = book.map(Book::end).transpose()?.unwrap_or_default();
        let Figures { rows, filled, sums, sha256 } = content.finish();
        let is_counted = |(place, found): (&Option<usize>, (&u64, &Option<i128>))| {
            place.is_none_or(|at| totals.filled.get(at) == Some(found.0) && totals.sums.get(at) == Some(found.1))
        };
        if rows != totals.rows || !places.iter().zip(filled.iter().zip(&sums)).all(is_counted) {
            return Err(Error::failed(
                "export_differs",
                format!(
                    "{}: {rows} rows were read where the database counts {}, or their totals differ.",
                    chosen.entity, totals.rows
                ),
            )
            .remedy("Check the database for damage (a backup that is proven tells), then export again."));
        }
        let deleted = chosen
            .deleted
            .as_ref()
            .map(|it| Deleted { column: chosen.columns[it.at].0.name.clone(), rows: shown.deleted });
        shown.finish()?;
        let described =
            columns.iter().zip(&labels).zip(filled.iter().zip(&sums)).zip(places.iter().zip(bytes.finish()?));
        let entity = Entity {
            entity: chosen.entity.clone(),
            store: store.to_owned(),
            source: snapshot.source(),
            table: entity::name_of(&chosen.table),
            columns: described
                .map(|(((column, label), (filled, sum)), (place, bytes))| Described {
                    column: column.name.clone(),
                    label: (*label).to_owned(),
                    only_to_read: place.is_none(),
                    bytes,
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
            deleted,
            content_sha256: hex(&sha256),
            files,
        };
        Ok(Written { entity, sheets, waiting })
    }
}

/// What kept an entity from being exported, with its name.
fn told_of(entity: &str, error: Error) -> Error {
    let message = match error.class.as_ref() {
        "insufficient_rights" | "table_gone" => format!("{entity} cannot be exported. {}", error.message),
        _ => error.message.clone(),
    };
    Error { message, ..error }.detail(format!("while exporting {entity}"))
}

/// What belongs to what, by the declared relations and the foreign keys of the database.
fn bonds(chosen: &[(usize, Chosen)]) -> Result<Vec<Bonds>> {
    let mut bonds: Vec<Bonds> = chosen.iter().map(|_| Bonds::default()).collect();
    for (at, (source, it)) in chosen.iter().enumerate() {
        let Some(part_of) = &it.part_of else { continue };
        let whole = chosen.iter().position(|(other, it)| other == source && it.entity == part_of.entity);
        // Without what it belongs to, it stands by itself.
        let Some(whole) = whole else { continue };
        let other = &chosen[whole].1;
        let names = it.table.refers.iter().find(|refers| {
            refers.column == part_of.by && refers.schema == other.table.schema && refers.table == other.table.name
        });
        let named = names.and_then(|it| it.to.as_ref().or_else(|| other.table.key.first()));
        let is_shown = other.names.iter().map(|it| &it.label).chain(other.deleted.iter().map(|it| &it.label));
        let is_free = other.place(&part_of.member).is_none() && !is_shown.into_iter().any(|it| *it == part_of.member);
        let found = named.and_then(|named| Some((it.place(&part_of.by)?, other.place(named)?, named.clone())));
        let Some((by, to, named)) = found.filter(|_| is_free) else {
            let what = format!("The {} cannot be put into the {} as “{}”.", it.entity, other.entity, part_of.member);
            return Err(Error::refused("not_part_of", what)
                .remedy("The column of “part_of” must be a foreign key, both its columns exported, and the name free. Correct the profile, or choose another form."));
        };
        bonds[at].part = Some((whole, by, to));
        bonds[at].order = std::iter::once(&part_of.by).chain(&it.table.key).cloned().collect();
        bonds[whole].order = vec![named];
    }
    Ok(bonds)
}
