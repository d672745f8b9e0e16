//! What is exported: the entities of the profile, or the tables themselves, found in a snapshot.

use crate::error::{Error, Result};
use crate::model::profile::{DeletedBy, Export, PartOf, Shows};
use crate::stores::tables::{Column, Table};

/// An entity as it is going to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What people call it.
    pub entity: String,
    /// Whether the profile says so, or it is a table under its own name.
    pub is_declared: bool,
    /// The table.
    pub table: Table,
    /// Its columns, in the order of the files, each with its heading.
    pub columns: Vec<(Column, String)>,
    /// Columns that are left out.
    pub left_out: Vec<String>,
    /// What its rows belong to.
    pub part_of: Option<PartOf>,
    /// What rows that it names are called, shown beside.
    pub names: Vec<Named>,
    /// What tells that a row counts as deleted.
    pub deleted: Option<Deletion>,
}

/// What the rows of another table are called, beside a column that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The number of the column that names them.
    pub by: usize,
    /// The other table.
    pub table: Table,
    /// Its column that is named.
    pub key: Column,
    /// Its column that is shown.
    pub column: Column,
    /// The heading.
    pub label: String,
}

/// What tells that a row counts as deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The number of the column.
    pub at: usize,
    /// The values that say so; every one but false and 0 where there are none.
    pub values: Vec<String>,
    /// The heading.
    pub label: String,
}

impl Chosen {
    /// Where a column stands in its files: what is shown beside takes places of its own.
    pub fn place(&self, column: &str) -> Option<usize> {
        let at = self.columns.iter().position(|(it, _)| it.name == column)?;
        let before = self.names.iter().filter(|it| it.by < at).count();
        Some(at + before + usize::from(self.deleted.as_ref().is_some_and(|it| it.at < at)))
    }
}

/// What a column says of deletion is called so where the profile has no word for it.
const DELETED: &str = "Deleted";

/// The entities of a source: those that `declared` names, then, where `everything` is wanted, every other table under its
/// own name.
///
/// # Errors
/// `entity_table_missing`, `entity_column_missing`.
pub fn entities(declared: &[&Export], tables: &[Table], everything: bool) -> Result<Vec<Chosen>> {
    let mut chosen = declared.iter().map(|it| declared_entity(it, declared, tables)).collect::<Result<Vec<_>>>()?;
    if everything {
        let others = tables.iter().filter(|table| !chosen.iter().any(|it: &Chosen| it.table == **table));
        let others: Vec<Chosen> = others.filter(|it| !it.columns.is_empty()).map(whole_table).collect();
        chosen.extend(others);
    }
    Ok(chosen)
}

/// How a table is written where one is named: without the usual schema.
pub fn name_of(table: &Table) -> String {
    if table.schema == "public" { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

fn whole_table(table: &Table) -> Chosen {
    Chosen {
        entity: name_of(table),
        is_declared: false,
        columns: table.columns.iter().map(|it| (it.clone(), it.name.clone())).collect(),
        table: table.clone(),
        left_out: Vec::new(),
        part_of: None,
        names: Vec::new(),
        deleted: None,
    }
}

fn table_of<'t>(export: &Export, tables: &'t [Table]) -> Result<&'t Table> {
    let found =
        tables.iter().find(|it| name_of(it) == export.table || format!("{}.{}", it.schema, it.name) == export.table);
    found.ok_or_else(|| {
        Error::refused(
            "entity_table_missing",
            format!("There is no table “{}”, which holds the {}.", export.table, export.entity),
        )
        .remedy("This version of the application keeps it elsewhere, or the user of the database may not see it. Export everything with --everything, or correct the profile.")
    })
}

fn no_column(table: &str, column: &str) -> Error {
    Error::refused("entity_column_missing", format!("The table “{table}” has no column “{column}”."))
        .remedy("This version of the application names it otherwise. Correct the entity in the profile.")
}

fn declared_entity(export: &Export, declared: &[&Export], tables: &[Table]) -> Result<Chosen> {
    let table = table_of(export, tables)?;
    // What tells a deleted row has to come along, or it would come back as a living one.
    let tells = |column: &str| export.deleted.as_ref().is_some_and(|it| it.column == column);
    let is_left_out = |column: &Column| {
        export.leave_out.contains(&column.name)
            || (!export.columns.is_empty()
                && !tells(&column.name)
                && !export.columns.iter().any(|it| it.column == column.name))
    };
    let columns: Vec<(Column, String)> = if export.columns.is_empty() {
        table.columns.iter().filter(|it| !is_left_out(it)).map(|it| (it.clone(), it.name.clone())).collect()
    } else {
        let named = |name: &str| table.columns.iter().find(|it| it.name == name);
        let chosen = export.columns.iter().map(|it| match named(&it.column) {
            Some(column) => Ok((column.clone(), it.label.clone().unwrap_or_else(|| column.name.clone()))),
            None => Err(no_column(&export.table, &it.column)),
        });
        let mut chosen = chosen.collect::<Result<Vec<_>>>()?;
        let told = table.columns.iter().filter(|it| tells(&it.name));
        let told = told.filter(|it| !export.columns.iter().any(|chosen| chosen.column == it.name));
        chosen.extend(told.map(|it| (it.clone(), it.name.clone())));
        chosen
    };
    let place = |column: &str| {
        columns.iter().position(|(it, _)| it.name == column).ok_or_else(|| no_column(&export.table, column))
    };
    let deletion = |it: &DeletedBy| {
        let label = it.label.clone().unwrap_or_else(|| DELETED.to_owned());
        Ok::<_, Error>(Deletion { at: place(&it.column)?, values: it.values.clone(), label })
    };
    let deleted = export.deleted.as_ref().map(deletion).transpose()?;
    let names = export.shows.iter().map(|it| named(it, place(&it.by)?, table, declared, tables));
    let names = names.collect::<Result<Vec<_>>>()?;
    let shown = names.iter().map(|it| &it.label).chain(deleted.iter().map(|it| &it.label));
    let is_taken = |label: &&String| columns.iter().any(|(it, name)| it.name == **label || name == *label);
    if let Some(label) = shown.into_iter().find(is_taken) {
        return Err(Error::refused(
            "heading_twice",
            format!("“{label}” is the name of two columns of {}.", export.entity),
        )
        .remedy("Call what is shown beside otherwise (“as”) in the profile."));
    }
    Ok(Chosen {
        entity: export.entity.clone(),
        is_declared: true,
        names,
        deleted,
        left_out: table.columns.iter().filter(|it| is_left_out(it)).map(|it| it.name.clone()).collect(),
        columns,
        table: table.clone(),
        part_of: export.part_of.clone(),
    })
}

/// What rows are called that `by` names: those of an entity, by the column that the database says is named, else by the one
/// that tells them apart.
fn named(shows: &Shows, by: usize, table: &Table, declared: &[&Export], tables: &[Table]) -> Result<Named> {
    let other = declared.iter().find(|it| it.entity == shows.entity).ok_or_else(|| {
        Error::refused("entity_table_missing", format!("There are no {} that could be shown.", shows.entity))
            .remedy("Correct the entity in the profile.")
    })?;
    let other = table_of(other, tables)?;
    let refers =
        table.refers.iter().find(|it| it.column == shows.by && it.schema == other.schema && it.table == other.name);
    let key = refers.and_then(|it| it.to.as_ref()).or(match other.key.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let column = |name: &str| {
        other.columns.iter().find(|it| it.name == name).cloned().ok_or_else(|| no_column(&other.name, name))
    };
    let key = key.ok_or_else(|| {
        let what = format!("No single column tells the {} apart, so none of them can be shown.", shows.entity);
        Error::refused("entity_column_missing", what).remedy("Take it out of “shows” in the profile.")
    })?;
    Ok(Named {
        by,
        key: column(key)?,
        column: column(&shows.column)?,
        table: other.clone(),
        label: shows.label.clone(),
    })
}
