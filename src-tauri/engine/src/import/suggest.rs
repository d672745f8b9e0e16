//! A mapping suggested by names and types: what is alike goes together, and nothing is guessed that would not fit.

use super::mapping::{ColumnMapping, Duplicates, EntityMapping, FORMAT, Mapping};
use super::name_of;
use crate::export::manifest::{Column as From, Entity as Exported, Manifest};
use crate::model::profile::Export;
use crate::stores::intake::{Column, List, Table};
use crate::stores::tables::{Holds, Refers, usual_type};

/// Tables in which frameworks note which of their own steps were done: those of another version are not to come in.
const OF_FRAMEWORKS: &[&str] = &[
    "schemamigration",
    "alembicversion",
    "djangomigration",
    "flywayschemahistory",
    "prismamigration",
    "knexmigration",
    "knexmigrationslock",
    "arinternalmetadata",
    "efmigrationshistory",
    "sequelizemeta",
    "goosedbversion",
    "databasechangelog",
    "databasechangeloglock",
];

/// What probably belongs where, with what the application's profile says stands in for values that are in no export.
pub fn suggest(manifest: &Manifest, tables: &[Table], declared: &[Export]) -> Mapping {
    let mut pairs: Vec<(&Exported, &Table)> =
        manifest.entities.iter().filter_map(|it| Some((it, table_for(it, tables)?))).collect();
    // What the application takes inside of something else does not come in beside it.
    let inside: Vec<&str> = pairs.iter().flat_map(|(_, it)| &it.lists).map(|it| it.of.as_str()).collect();
    pairs.retain(|(it, table)| table.entity.is_some() || !inside.contains(&it.entity.as_str()));
    let entities: Vec<EntityMapping> = pairs
        .iter()
        .map(|(entity, table)| one(entity, table, &pairs, manifest))
        .map(|it| with_fills(it, tables, declared))
        .filter(|it| !it.columns.is_empty())
        .collect();
    let comes = |name: &str| entities.iter().any(|it| it.entity == name);
    let left_out = manifest.entities.iter().filter(|it| !comes(&it.entity)).map(|it| it.entity.clone()).collect();
    Mapping { format: FORMAT, left_out, entities }
}

/// The same rows, for an export that comes back to the installation that it was made of: each is known by the key that it
/// has. With sentences about what cannot come back so.
pub fn same_rows(manifest: &Manifest, tables: &[Table]) -> (Mapping, Vec<String>) {
    let (mut entities, mut left_out, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for entity in &manifest.entities {
        match same_row(entity, tables) {
            Ok(it) => entities.push(it),
            Err(why) => {
                left_out.push(entity.entity.clone());
                if entity.rows > 0 {
                    said.extend(why.map(|why| format!("{} stay in the files: {why}.", entity.entity)));
                }
            }
        }
    }
    (Mapping { format: FORMAT, left_out, entities }, said)
}

fn same_row(entity: &Exported, tables: &[Table]) -> Result<EntityMapping, Option<String>> {
    if is_of_framework(entity) {
        return Err(None);
    }
    let table = tables.iter().find(|it| it.entity.is_none() && name_of(it) == entity.table);
    let table = table.ok_or_else(|| Some("there is no such table in this version".to_owned()))?;
    if table.key.is_empty() {
        return Err(Some("nothing tells its rows apart, so those of before would come in twice".to_owned()));
    }
    let same = |to: &Column| {
        entity.columns.iter().find(|it| it.column == to.name && !it.only_to_read && fits(it, to) && !to.generated)
    };
    let columns: Vec<ColumnMapping> = table
        .columns
        .iter()
        .filter_map(|to| Some((to, same(to)?)))
        .map(|(to, from)| ColumnMapping {
            to: to.name.clone(),
            from: Some(from.column.clone()),
            ..ColumnMapping::default()
        })
        .collect();
    let lacks =
        |it: &&Column| (it.required || table.key.contains(&it.name)) && !columns.iter().any(|to| to.to == it.name);
    if let Some(column) = table.columns.iter().find(lacks) {
        return Err(Some(format!("each needs “{}”, which is not in them", column.name)));
    }
    let (into, key) = (name_of(table), table.key.clone());
    Ok(EntityMapping { entity: entity.entity.clone(), into, key, duplicates: Duplicates::Ask, columns })
}

fn is_of_framework(entity: &Exported) -> bool {
    OF_FRAMEWORKS.iter().any(|it| plain(it) == plain(&entity.table))
}

/// Letters and digits alone, small, one thing rather than many.
fn plain(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    let plain: String = name.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect();
    plain.strip_suffix('s').map(ToOwned::to_owned).unwrap_or(plain)
}

fn table_for<'t>(entity: &Exported, tables: &'t [Table]) -> Option<&'t Table> {
    if is_of_framework(entity) {
        return None;
    }
    let same = |wanted: &str| tables.iter().find(|it| it.entity.is_none() && name_of(it) == wanted);
    // Through the application itself, where it takes such things.
    let own = tables.iter().find(|it| it.entity.as_deref() == Some(entity.entity.as_str()));
    own.or_else(|| same(&entity.table))
        .or_else(|| tables.iter().find(|it| it.entity.is_none() && plain(&it.name) == plain(&entity.table)))
        .or_else(|| tables.iter().find(|it| it.entity.is_none() && plain(&it.name) == plain(&entity.entity)))
}

/// Whether a value of the one can be one of the other.
pub fn fits(from: &From, to: &Column) -> bool {
    match (from.holds, to.holds) {
        (Holds::Integer, Holds::Integer | Holds::Number)
        | (Holds::Number, Holds::Number)
        | (Holds::Boolean, Holds::Boolean)
        | (Holds::Json, Holds::Json) => true,
        (Holds::Text, Holds::Text) => {
            let kind = |name: &str| {
                let base = name.split('(').next().unwrap_or(name).trim();
                match usual_type(base) {
                    "text" | "character varying" | "character" | "citext" | "name" => "text".to_owned(),
                    it if it.starts_with("timestamp") => "timestamp".to_owned(),
                    it => it.rsplit('.').next().unwrap_or(it).to_owned(),
                }
            };
            kind(&from.data_type) == kind(&to.base) || kind(&to.base) == "text"
        }
        // A text takes anything.
        (_, Holds::Text) => matches!(to.base.as_str(), "text" | "character varying"),
        _ => false,
    }
}

/// The entity that a column of an export names one of, where one of it is to come into a column that names rows of the table
/// that this entity comes into.
pub fn named_by<'m>(
    own: &Exported,
    from: &str,
    table: &Table,
    to: &str,
    manifest: &Manifest,
    mapping: &'m Mapping,
) -> Option<&'m str> {
    let refers = table.refers.iter().find(|it| it.column == to)?;
    let names = own.refers.iter().find(|it| it.column == from)?;
    let into = table_name(&refers.schema, &refers.table);
    let other = mapping.entities.iter().find(|it| it.into == into)?;
    let exported = manifest.entities.iter().find(|it| it.entity == other.entity)?;
    let is_key = names.to.as_ref().is_none_or(|to| exported.key == std::slice::from_ref(to));
    (is_key && exported.table == table_name(&names.schema, &names.table)).then_some(other.entity.as_str())
}

fn one(entity: &Exported, table: &Table, pairs: &[(&Exported, &Table)], manifest: &Manifest) -> EntityMapping {
    let mut columns = Vec::new();
    for to in table.columns.iter().filter(|it| !it.generated) {
        let is_key_that_is_made = table.key.contains(&to.name) && to.made.is_some();
        if is_key_that_is_made {
            continue;
        }
        // What a row was called there says nothing of what is called so here.
        if let Some(refers) = table.refers.iter().find(|it| it.column == to.name) {
            columns.extend(reference(entity, to, refers, pairs));
            continue;
        }
        if let Some(list) = table.lists.iter().find(|it| it.column == to.name) {
            columns.extend(listed(entity, list, pairs, manifest));
            continue;
        }
        let found =
            same_name(entity, to).or_else(|| divided(entity, to)).or_else(|| gathered(entity, to, pairs, manifest));
        columns.extend(found);
    }
    let is_mapped = |names: &[String]| names.iter().all(|name| columns.iter().any(|it| it.to == *name));
    let key = table
        .unique
        .iter()
        .chain(std::iter::once(&table.key))
        .find(|it| !it.is_empty() && is_mapped(it))
        .cloned()
        .unwrap_or_default();
    EntityMapping { entity: entity.entity.clone(), into: name_of(table), key, duplicates: Duplicates::Ask, columns }
}

/// With a value for what new rows cannot do without and nobody has exported.
fn with_fills(mut it: EntityMapping, tables: &[Table], declared: &[Export]) -> EntityMapping {
    let own = declared.iter().find(|own| own.entity == it.entity);
    // What comes in through the application is for the application to say.
    let table = tables.iter().find(|table| table.entity.is_none() && name_of(table) == it.into);
    let (Some(own), Some(table), false) = (own, table, it.columns.is_empty()) else { return it };
    for column in table.columns.iter().filter(|it| it.required) {
        let is_mapped = it.columns.iter().any(|other| other.to == column.name);
        if let Some(fill) = own.fill_of(&column.name).filter(|_| !is_mapped) {
            it.columns.push(ColumnMapping {
                to: column.name.clone(),
                value: Some(fill.value.clone()),
                only_new: true,
                ..ColumnMapping::default()
            });
        }
    }
    it
}

/// A column that names rows of another table gets what names rows of the entity that goes there. Something that names its
/// own kind cannot be ordered, and gets nothing.
fn reference(entity: &Exported, to: &Column, refers: &Refers, pairs: &[(&Exported, &Table)]) -> Option<ColumnMapping> {
    let (other, table) = pairs.iter().find(|(_, it)| it.schema == refers.schema && it.name == refers.table)?;
    if other.entity == entity.entity {
        return None;
    }
    let names: Vec<&Refers> =
        entity.refers.iter().filter(|it| table_name(&it.schema, &it.table) == other.table).collect();
    let alike = names.iter().find(|it| plain(&it.column) == plain(&to.name));
    let alike = alike.or_else(|| names.iter().find(|it| plain(&it.column).starts_with(&plain(&to.name))));
    let from = alike.or_else(|| names.first().filter(|_| names.len() == 1))?;
    let is_key = |to: &Option<String>, key: &[String]| to.as_ref().is_none_or(|to| key == std::slice::from_ref(to));
    let found = ColumnMapping { to: to.name.clone(), from: Some(from.column.clone()), ..ColumnMapping::default() };
    match (is_key(&from.to, &other.key), is_key(&refers.to, &table.key)) {
        (true, true) => Some(ColumnMapping { refers_to: Some(other.entity.clone()), ..found }),
        // The number of an article and its like stays what it is.
        (false, false) => Some(found),
        _ => None,
    }
}

fn table_name(schema: &str, table: &str) -> String {
    if schema == "public" { table.to_owned() } else { format!("{schema}.{table}") }
}

fn same_name(entity: &Exported, to: &Column) -> Option<ColumnMapping> {
    let named = |exact: bool| {
        entity.columns.iter().find(|it| {
            let same = if exact { it.column == to.name } else { plain(&it.column) == plain(&to.name) };
            same && !it.only_to_read && fits(it, to)
        })
    };
    let from = named(true).or_else(|| named(false))?;
    Some(ColumnMapping { to: to.name.clone(), from: Some(from.column.clone()), ..ColumnMapping::default() })
}

/// `price_cents`, a whole number, is the `price` with decimals.
fn divided(entity: &Exported, to: &Column) -> Option<ColumnMapping> {
    if to.holds != Holds::Number {
        return None;
    }
    let wanted = [format!("{}_cents", to.name), format!("{}_in_cents", to.name), format!("{}_minor", to.name)];
    let from = entity.columns.iter().filter(|it| it.holds == Holds::Integer && !it.only_to_read);
    let from = from.into_iter().find(|it| wanted.contains(&it.column))?;
    Some(ColumnMapping {
        to: to.name.clone(),
        from: Some(from.column.clone()),
        divide_by: Some(100),
        ..ColumnMapping::default()
    })
}

/// A list whose members are known gets the rows of its entity, each member what is called so.
fn listed(entity: &Exported, list: &List, pairs: &[(&Exported, &Table)], manifest: &Manifest) -> Option<ColumnMapping> {
    let child = manifest.entities.iter().find(|it| it.entity == list.of)?;
    let by = child.refers.iter().find(|it| table_name(&it.schema, &it.table) == entity.table)?;
    let fields = list.columns.iter().filter_map(|to| match list.refers.iter().find(|it| it.column == to.name) {
        Some(refers) => reference(child, to, refers, pairs),
        None => same_name(child, to).or_else(|| divided(child, to)),
    });
    Some(ColumnMapping {
        to: list.column.clone(),
        gather: Some(child.entity.clone()),
        by: Some(by.column.clone()),
        fields: fields.collect(),
        ..ColumnMapping::default()
    })
}

/// A list gets the rows of an entity that is called like it and names this one.
fn gathered(
    entity: &Exported,
    to: &Column,
    pairs: &[(&Exported, &Table)],
    manifest: &Manifest,
) -> Option<ColumnMapping> {
    if !matches!(to.base.as_str(), "json" | "jsonb") || entity.key.len() != 1 {
        return None;
    }
    let child = manifest.entities.iter().find(|it| {
        let is_elsewhere = pairs.iter().any(|(other, _)| other.entity == it.entity);
        let is_called = plain(&it.table).ends_with(&plain(&to.name)) || plain(&it.entity).ends_with(&plain(&to.name));
        !is_elsewhere && is_called
    })?;
    let by = child.refers.iter().find(|it| table_name(&it.schema, &it.table) == entity.table)?;
    let fields = child.columns.iter().filter(|it| it.column != by.column && !it.generated && !it.only_to_read);
    let fields = fields.map(|it| {
        let refers = child.refers.iter().find(|refers| refers.column == it.column).and_then(|refers| {
            let named = |(other, _): &&(&Exported, &Table)| other.table == table_name(&refers.schema, &refers.table);
            pairs.iter().find(named).map(|(other, _)| other.entity.clone())
        });
        ColumnMapping {
            to: it.column.clone(),
            from: Some(it.column.clone()),
            refers_to: refers,
            ..ColumnMapping::default()
        }
    });
    Some(ColumnMapping {
        to: to.name.clone(),
        gather: Some(child.entity.clone()),
        by: Some(by.column.clone()),
        fields: fields.collect(),
        ..ColumnMapping::default()
    })
}
