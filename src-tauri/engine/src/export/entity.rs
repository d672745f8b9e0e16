//! What is exported: the entities of the profile, or the tables themselves, found in a snapshot.

use crate::error::{Error, Result};
use crate::model::profile::{Export, PartOf};
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
}

/// The entities of a source: those that `declared` names, then, where `everything` is wanted, every other table under its
/// own name.
///
/// # Errors
/// `entity_table_missing`, `entity_column_missing`.
pub fn entities(declared: &[&Export], tables: &[Table], everything: bool) -> Result<Vec<Chosen>> {
    let mut chosen = declared.iter().map(|it| declared_entity(it, tables)).collect::<Result<Vec<_>>>()?;
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
    }
}

fn declared_entity(export: &Export, tables: &[Table]) -> Result<Chosen> {
    let table =
        tables.iter().find(|it| name_of(it) == export.table || format!("{}.{}", it.schema, it.name) == export.table);
    let Some(table) = table else {
        return Err(Error::refused(
            "entity_table_missing",
            format!("There is no table “{}”, which holds the {}.", export.table, export.entity),
        )
        .remedy("This version of the application keeps it elsewhere, or the user of the database may not see it. Export everything with --everything, or correct the profile."));
    };
    let is_left_out = |column: &Column| {
        export.leave_out.contains(&column.name)
            || (!export.columns.is_empty() && !export.columns.iter().any(|it| it.column == column.name))
    };
    let columns = if export.columns.is_empty() {
        table.columns.iter().filter(|it| !is_left_out(it)).map(|it| (it.clone(), it.name.clone())).collect()
    } else {
        let named = |name: &str| table.columns.iter().find(|it| it.name == name);
        let chosen = export.columns.iter().map(|it| match named(&it.column) {
            Some(column) => Ok((column.clone(), it.label.clone().unwrap_or_else(|| column.name.clone()))),
            None => Err(Error::refused(
                "entity_column_missing",
                format!("The table “{}” has no column “{}”.", export.table, it.column),
            )
            .remedy("This version of the application names it otherwise. Correct the entity in the profile.")),
        });
        chosen.collect::<Result<Vec<_>>>()?
    };
    Ok(Chosen {
        entity: export.entity.clone(),
        is_declared: true,
        columns,
        left_out: table.columns.iter().filter(|it| is_left_out(it)).map(|it| it.name.clone()).collect(),
        table: table.clone(),
        part_of: export.part_of.clone(),
    })
}
