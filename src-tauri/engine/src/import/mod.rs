//! Bringing an export into an installation: what its rows become there, tried first, and a file of what did not come in.
//!
//! A [`mapping::Mapping`] says what comes into which column; it is suggested, can be edited, and is checked here against the
//! export and the tables before anything is laid down. Deliberately absent: rows that name others of their own kind.

pub mod api;
pub mod mapping;
pub mod read;
pub mod rest;
pub mod suggest;

use std::collections::{BTreeMap, BTreeSet};

use self::mapping::{ColumnMapping, EntityMapping, Mapping};
use self::read::Input;
use crate::error::{Error, Result};
use crate::export::manifest::{Entity as Exported, Manifest};
use crate::model::profile::Export;
use crate::ports::{Reporter, Unit};
use crate::stores::intake::{Assignment, Column, Entity, Field, Intake, Table, TakeRow, Value};

/// How a table is written where one is named: without the usual schema.
pub fn name_of(table: &Table) -> String {
    if table.schema == "public" { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

/// The entities of a mapping that the export holds and `only` names (all where it is empty), ready to come in, each after
/// those that it names; and the numbers of all whose rows are needed for that. Numbers are those of the export's entities.
///
/// # Errors
/// `bad_mapping` with the place.
pub fn ready(
    mapping: &Mapping,
    manifest: &Manifest,
    tables: &[Table],
    only: &[String],
) -> Result<(Vec<Entity>, BTreeSet<usize>)> {
    let mut entities = Vec::new();
    let mut needed = BTreeSet::new();
    let wanted = |it: &&EntityMapping| {
        manifest.entities.iter().any(|exported| exported.entity == it.entity)
            && (only.is_empty() || only.contains(&it.entity))
    };
    let wanted: Vec<&EntityMapping> = mapping.entities.iter().filter(wanted).collect();
    for it in in_order(&wanted, tables)? {
        let entity = one(it, mapping, manifest, tables)?;
        needed.insert(entity.staged);
        for column in &entity.columns {
            if let Value::Gather { from, .. } = column.value {
                needed.insert(from);
            }
        }
        entities.push(entity);
    }
    Ok((entities, needed))
}

fn bad(entity: &str, what: String) -> Error {
    Error::usage("bad_mapping", format!("In the mapping of {entity}: {what}."))
        .remedy("Correct the file of the mapping; `liftlock import FOLDER --show-mapping` prints a fresh suggestion.")
}

fn one(it: &EntityMapping, mapping: &Mapping, manifest: &Manifest, tables: &[Table]) -> Result<Entity> {
    let (staged, exported) = exported(manifest, &it.entity).map_err(|what| bad(&it.entity, what))?;
    let table = tables
        .iter()
        .find(|table| name_of(table) == it.into || format!("{}.{}", table.schema, table.name) == it.into)
        .ok_or_else(|| bad(&it.entity, format!("there is no table “{}”", it.into)))?;
    let mut columns = Vec::new();
    for column in &it.columns {
        let to = table.columns.iter().find(|to| to.name == column.to);
        let to = to.ok_or_else(|| bad(&it.entity, format!("the table {} has no column “{}”", it.into, column.to)))?;
        if to.generated {
            return Err(bad(&it.entity, format!("“{}” is worked out by the database itself", column.to)));
        }
        if column.only_new && table.entity.is_some() {
            let what = format!("“{}” cannot be for new ones alone: the application itself takes them in", column.to);
            return Err(bad(&it.entity, what));
        }
        if columns.iter().any(|it: &Assignment| it.to.name == to.name) {
            return Err(bad(&it.entity, format!("“{}” stands there twice", column.to)));
        }
        columns.push(assignment(column, to, exported, mapping, manifest).map_err(|what| bad(&it.entity, what))?);
    }
    let lacks = |column: &&Column| column.required && !columns.iter().any(|it| it.to.name == column.name);
    if let Some(column) = table.columns.iter().find(lacks) {
        return Err(bad(&it.entity, format!("“{}” needs a value, and nothing comes into it", column.name)));
    }
    for list in &table.lists {
        let Some(column) = it.columns.iter().find(|column| column.to == list.column) else { continue };
        let lacks = |member: &&Column| member.required && !column.fields.iter().any(|it| it.to == member.name);
        if let Some(member) = list.columns.iter().find(lacks) {
            let what = format!("“{}” in “{}” needs a value, and nothing comes into it", member.name, list.column);
            return Err(bad(&it.entity, what));
        }
    }
    if let Some(name) = it.key.iter().find(|name| !columns.iter().any(|it| it.to.name == **name)) {
        return Err(bad(&it.entity, format!("nothing comes into “{name}”, which is to tell rows apart")));
    }
    let key = key_of(exported);
    Ok(Entity {
        entity: it.entity.clone(),
        staged,
        key,
        table: table.clone(),
        natural_key: it.key.clone(),
        duplicates: it.duplicates,
        answers: BTreeMap::new(),
        columns,
    })
}

/// The columns of an entity that tell its rows apart; none where one of them was not exported.
pub fn key_of(exported: &Exported) -> Vec<usize> {
    let position = |name: &String| exported.columns.iter().position(|it| it.column == *name);
    exported.key.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// What of an export nothing comes of, in sentences: nobody shall miss it later.
pub fn left_behind(mapping: &Mapping, manifest: &Manifest) -> Vec<String> {
    let mut said = Vec::new();
    for exported in &manifest.entities {
        let own = mapping.entities.iter().find(|it| it.entity == exported.entity);
        let gathered = mapping.entities.iter().flat_map(|it| &it.columns);
        let gathered = gathered.filter(|it| it.gather.as_ref() == Some(&exported.entity));
        let columns: Vec<&ColumnMapping> = own.map(|it| it.columns.as_slice()).unwrap_or_default().iter().collect();
        let columns: Vec<&ColumnMapping> =
            columns.into_iter().chain(gathered.flat_map(|it| it.fields.iter().chain([it]))).collect();
        if columns.is_empty() {
            if exported.rows > 0 {
                said.push(format!("{} stay behind: {} rows have no place there.", exported.entity, exported.rows));
            }
            continue;
        }
        let comes =
            |name: &str| columns.iter().any(|it| it.from.as_deref() == Some(name) || it.by.as_deref() == Some(name));
        // A key that the application makes anew is no loss, and what the database works out it works out again.
        let behind: Vec<&str> = exported
            .columns
            .iter()
            .filter(|it| {
                it.filled > 0
                    && !it.generated
                    && !it.only_to_read
                    && !exported.key.contains(&it.column)
                    && !comes(&it.column)
            })
            .map(|it| it.label.as_str())
            .collect();
        if !behind.is_empty() {
            said.push(format!("Of {} there is no place for: {}.", exported.entity, behind.join(", ")));
        }
        if let Some(deleted) = exported.deleted.as_ref().filter(|it| it.rows > 0 && !comes(&it.column)) {
            let what = format!("{} rows of {} count as deleted", deleted.rows, exported.entity);
            said.push(format!("{what}, and nothing there tells that: they come in like the others."));
        }
    }
    said
}

/// What new rows get that is in no export, in sentences.
pub fn filled_in(mapping: &Mapping, declared: &[Export]) -> Vec<String> {
    let columns = mapping.entities.iter().flat_map(|it| it.columns.iter().map(|column| (it.entity.as_str(), column)));
    columns
        .filter(|(_, it)| it.only_new)
        .map(|(entity, it)| {
            let fill = declared.iter().find(|it| it.entity == entity).and_then(|own| own.fill_of(&it.to));
            match (fill.and_then(|it| it.means.as_ref()), &it.value) {
                (Some(means), _) => format!("“{}” of {entity} is in no export: {means}.", it.to),
                (None, Some(value)) => format!("New {entity} get “{value}” as “{}”.", it.to),
                (None, None) => format!("Only new {entity} get their “{}”.", it.to),
            }
        })
        .collect()
}

/// Lays the rows of an entity down as they stand in its file.
///
/// # Errors
/// Those of reading a file with file, line and column; what the database or `reporter` answered.
pub fn lay_down(
    intake: &mut dyn Intake,
    number: usize,
    input: &Input,
    exported: &Exported,
    reporter: &dyn Reporter,
) -> Result<()> {
    reporter.say(&format!("reading {}", input.name()));
    let expected = exported.rows;
    let mut rows = |take: &mut TakeRow<'_>| {
        input.each(&mut |row| {
            if row.number.is_multiple_of(4096) {
                reporter.check()?;
                reporter.moved(row.number, Some(expected.max(row.number)), Unit::Rows);
            }
            if row.values.iter().flatten().any(|it| it.contains(&0)) {
                let message = format!("{}, line {}: a value holds a zero byte.", input.name(), row.line);
                return Err(
                    Error::failed("bad_row", message).remedy("Take it out; no text can hold one in PostgreSQL.")
                );
            }
            // What is only to read tells no rows apart either.
            let values = row.values.iter().zip(&exported.columns);
            let values: Vec<Option<&[u8]>> =
                values.map(|(it, column)| it.as_deref().filter(|_| !column.only_to_read)).collect();
            take(&values)
        })
    };
    let key = key_of(exported);
    intake.lay_down(number, input.columns().len(), &key, &mut rows, reporter).map(drop)
}

/// The lines of some rows of a file, by their numbers.
///
/// # Errors
/// Those of reading it.
pub fn lines_of(input: &Input, numbers: &BTreeSet<u64>) -> Result<BTreeMap<u64, u64>> {
    let mut lines = BTreeMap::new();
    if !numbers.is_empty() {
        input.each(&mut |row| {
            if numbers.contains(&row.number) {
                lines.insert(row.number, row.line);
            }
            Ok(())
        })?;
    }
    Ok(lines)
}

fn exported<'m>(manifest: &'m Manifest, name: &str) -> std::result::Result<(usize, &'m Exported), String> {
    let found = manifest.entities.iter().enumerate().find(|(_, it)| it.entity == name);
    found.ok_or_else(|| format!("the export holds no {name}"))
}

fn assignment(
    it: &ColumnMapping,
    to: &Column,
    exported_entity: &Exported,
    mapping: &Mapping,
    manifest: &Manifest,
) -> std::result::Result<Assignment, String> {
    let label = |from: &str| {
        let column = exported_entity.columns.iter().find(|column| column.column == from);
        column.map_or_else(|| from.to_owned(), |it| it.label.clone())
    };
    if let Some(text) = &it.value {
        let value = Value::Constant(text.clone());
        return Ok(Assignment { to: to.clone(), label: to.name.clone(), value, only_new: it.only_new });
    }
    if let Some(name) = &it.gather {
        let (from, child) = exported(manifest, name)?;
        let by =
            it.by.as_deref().ok_or_else(|| format!("“{}” does not say by which column {name} are gathered", it.to))?;
        let by = position(child, by)?;
        let [key] = exported_entity.key.as_slice() else {
            return Err(format!("{} have no key of one column that {name} could name", exported_entity.entity));
        };
        let key = position(exported_entity, key)?;
        let mut fields = Vec::new();
        for field in &it.fields {
            let value = value(field, child, mapping)?;
            let (Value::Plain { at, .. } | Value::Refers { at, .. }) = &value else {
                return Err(format!("“{}” cannot be gathered inside a list", field.to));
            };
            let holds = child.columns[*at].holds;
            fields.push(Field { name: field.to.clone(), value, holds });
        }
        if !matches!(to.base.as_str(), "json" | "jsonb" | "text") {
            return Err(format!("a list cannot come into “{}”, which holds {}", to.name, to.data_type));
        }
        let value = Value::Gather { from, by, key, fields };
        return Ok(Assignment { to: to.clone(), label: name.clone(), value, only_new: it.only_new });
    }
    let value = value(it, exported_entity, mapping)?;
    let label = label(it.from.as_deref().unwrap_or_default());
    Ok(Assignment { to: to.clone(), label, value, only_new: it.only_new })
}

fn value(it: &ColumnMapping, entity: &Exported, mapping: &Mapping) -> std::result::Result<Value, String> {
    let from = it.from.as_deref().ok_or_else(|| format!("“{}” does not say where it comes from", it.to))?;
    let at = position(entity, from)?;
    match (&it.refers_to, it.divide_by) {
        (Some(_), Some(_)) => Err(format!("“{}” cannot both be divided and name something else", it.to)),
        (Some(other), None) if !mapping.entities.iter().any(|it| it.entity == *other) => {
            Err(format!("“{}” names {other}, which do not come in", it.to))
        }
        (Some(other), None) => Ok(Value::Refers { at, entity: other.clone() }),
        (None, Some(0)) => Err(format!("“{}” cannot be divided by nothing", it.to)),
        (None, divide_by) => Ok(Value::Plain { at, divide_by }),
    }
}

fn position(entity: &Exported, column: &str) -> std::result::Result<usize, String> {
    let at = entity.columns.iter().position(|it| it.column == column);
    let at = at.ok_or_else(|| format!("{} of the export have no column “{column}”", entity.entity))?;
    if entity.columns[at].only_to_read {
        return Err(format!("“{column}” of {} is only to read", entity.entity));
    }
    Ok(at)
}

/// The entities, each after those that it names, by the mapping and by the foreign keys of the tables.
fn in_order<'m>(wanted: &[&'m EntityMapping], tables: &[Table]) -> Result<Vec<&'m EntityMapping>> {
    let needs = |it: &EntityMapping| -> BTreeSet<String> {
        let fields = it.columns.iter().flat_map(|it| std::iter::once(it).chain(&it.fields));
        let mut names: BTreeSet<String> = fields.filter_map(|it| it.refers_to.clone()).collect();
        let table = tables
            .iter()
            .find(|table| name_of(table) == it.into || format!("{}.{}", table.schema, table.name) == it.into);
        for refers in table.map(|it| it.refers.as_slice()).unwrap_or_default() {
            // One that nothing comes into orders nothing.
            if !it.columns.iter().any(|column| column.to == refers.column) {
                continue;
            }
            let full = format!("{}.{}", refers.schema, refers.table);
            let other = wanted
                .iter()
                .find(|other| other.into == full || (refers.schema == "public" && other.into == refers.table));
            // A row that names one of its own kind by the key that both keep comes with it.
            names.extend(other.map(|it| it.entity.clone()).filter(|name| *name != it.entity));
        }
        names
    };
    let mut left: Vec<(&EntityMapping, BTreeSet<String>)> = wanted.iter().map(|it| (*it, needs(it))).collect();
    let mut ordered: Vec<&EntityMapping> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|(_, needs)| {
            needs
                .iter()
                .all(|name| ordered.iter().any(|it| it.entity == *name) || !wanted.iter().any(|it| it.entity == *name))
        });
        let Some(ready) = ready else {
            let names: Vec<_> = left.iter().map(|(it, _)| it.entity.as_str()).collect();
            return Err(bad(
                names[0],
                format!("{} name each other or themselves, so none can come first", names.join(" and ")),
            ));
        };
        ordered.push(left.remove(ready).0);
    }
    Ok(ordered)
}
