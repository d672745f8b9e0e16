//! What comes into which column, for people who change it in the window: told with reasons, changed, remembered, forgotten.
//!
//! A mapping that could not be used is told with what is missing and not remembered.

use std::path::Path;

use super::{MAPPING, completed, intake};
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export;
use crate::export::manifest::{Entity as Exported, Manifest};
use crate::import::api::SCHEMA;
use crate::import::mapping::{ColumnMapping, EntityMapping, Mapping};
use crate::import::suggest::{fits, named_by, suggest};
use crate::import::{filled_in, left_behind, name_of, ready};
use crate::model::ids::InstallationName;
use crate::stores::intake::{Column, Table};
use crate::view::window::{
    MappedChange, MappedColumn, MappedEntity, MappedReason, MappedSource, MappedWarning, MappingTable,
};

impl Engine {
    /// What would come into which column of `name`, with what a person changed beside it. That is remembered if it can be
    /// used; `reset` forgets what was remembered.
    ///
    /// # Errors
    /// `not_an_export`, `no_intake`; what the database or the disk answered.
    pub(in crate::engine) fn mapping_table(
        &self,
        name: &InstallationName,
        from: &Path,
        changes: &[MappedChange],
        reset: bool,
    ) -> Result<MappingTable> {
        let site = self.site(&self.db()?.installation(name)?)?;
        let manifest = export::open(from)?;
        let tables = intake(&site)?.tables()?;
        let declared = site.exports();
        let suggested = suggest(&manifest, &tables, &declared);
        let path = self.imports(name).join(MAPPING);
        if reset && path.exists() {
            std::fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, &cause))?;
        }
        let is_usable = |it: &Mapping| ready(it, &manifest, &tables, &[]).map(drop);
        let remembered = std::fs::read_to_string(&path).ok().and_then(|it| Mapping::parse(&it, MAPPING).ok());
        let remembered = remembered.and_then(|it| completed(it, &suggested)).filter(|it| is_usable(it).is_ok());
        let mut mapping = remembered.unwrap_or_else(|| suggested.clone());
        for change in changes {
            take(&mut mapping, change, &suggested, &manifest, &tables);
        }
        let problem = is_usable(&mapping).err().map(|it| it.message);
        if problem.is_none() && !changes.is_empty() {
            durable::create_private_dir(&self.imports(name))?;
            durable::write(&path, mapping.text()?.as_bytes())?;
        }
        let entities = mapping.entities.iter().filter_map(|it| shown(it, &mapping, &suggested, &manifest, &tables));
        Ok(MappingTable {
            entities: entities.collect(),
            problem,
            left_behind: [left_behind(&mapping, &manifest), filled_in(&mapping, &declared)].concat(),
            is_suggestion: mapping == suggested,
        })
    }
}

fn of<'m>(mapping: &'m Mapping, entity: &str, column: &str) -> Option<&'m ColumnMapping> {
    mapping.entities.iter().find(|it| it.entity == entity)?.columns.iter().find(|it| it.to == column)
}

fn table_of<'t>(it: &EntityMapping, tables: &'t [Table]) -> Option<&'t Table> {
    tables.iter().find(|table| name_of(table) == it.into)
}

fn exported<'m>(manifest: &'m Manifest, entity: &str) -> Option<&'m Exported> {
    manifest.entities.iter().find(|it| it.entity == entity)
}

/// Puts a change in. What was suggested comes with all that belongs to it: a division, a reference, the fields of a list.
fn take(mapping: &mut Mapping, change: &MappedChange, suggested: &Mapping, manifest: &Manifest, tables: &[Table]) {
    let proposal = of(suggested, &change.entity, &change.column).cloned();
    let named = mapping.clone();
    let Some(entity) = mapping.entities.iter_mut().find(|it| it.entity == change.entity) else { return };
    let plain = || ColumnMapping { to: change.column.clone(), ..ColumnMapping::default() };
    let new = match (&change.from, &change.value) {
        _ if change.list => proposal.filter(|it| it.gather.is_some()),
        (Some(from), _) => Some(match proposal.filter(|it| it.from.as_ref() == Some(from)) {
            Some(proposal) => proposal,
            None => {
                let refers =
                    table_of(entity, tables).zip(exported(manifest, &change.entity)).and_then(|(table, own)| {
                        let other = named_by(own, from, table, &change.column, manifest, &named)?;
                        Some(other.to_owned())
                    });
                ColumnMapping { from: Some(from.clone()), refers_to: refers, ..plain() }
            }
        }),
        (None, Some(value)) => {
            let only_new = proposal.is_some_and(|it| it.only_new);
            Some(ColumnMapping { value: Some(value.clone()), only_new, ..plain() })
        }
        (None, None) => None,
    };
    let at = entity.columns.iter().position(|it| it.to == change.column);
    match (at, new) {
        (Some(at), Some(new)) => entity.columns[at] = new,
        (Some(at), None) => drop(entity.columns.remove(at)),
        (None, Some(new)) => entity.columns.push(new),
        (None, None) => {}
    }
}

fn shown(
    it: &EntityMapping,
    mapping: &Mapping,
    suggested: &Mapping,
    manifest: &Manifest,
    tables: &[Table],
) -> Option<MappedEntity> {
    let (own, table) = (exported(manifest, &it.entity)?, table_of(it, tables)?);
    // A key that the application makes itself is none of a person's business unless something comes into it.
    let is_made = |column: &Column| table.key.contains(&column.name) && column.made.is_some();
    let columns = table
        .columns
        .iter()
        .filter(|column| !column.generated && (!is_made(column) || it.columns.iter().any(|it| it.to == column.name)));
    let sources = own.columns.iter().filter(|it| !it.only_to_read);
    Some(MappedEntity {
        key: it.entity.clone(),
        into: Some(name_of(table)).filter(|_| table.schema != SCHEMA),
        columns: columns.map(|column| one(column, it, own, (mapping, suggested))).collect(),
        sources: sources.map(|it| MappedSource { column: it.column.clone(), label: it.label.clone() }).collect(),
    })
}

fn one(
    column: &Column,
    entity: &EntityMapping,
    own: &Exported,
    (mapping, suggested): (&Mapping, &Mapping),
) -> MappedColumn {
    let comes = of(mapping, &entity.entity, &column.name);
    let proposal = of(suggested, &entity.entity, &column.name);
    let from = comes.and_then(|it| it.from.clone());
    let source = from.as_ref().and_then(|from| own.columns.iter().find(|it| it.column == *from));
    let is_list = comes.is_some_and(|it| it.gather.is_some());
    let reason = comes.map(|it| match (it == proposal.unwrap_or(&ColumnMapping::default()), it) {
        (false, _) => MappedReason::Chosen,
        (true, it) if it.only_new => MappedReason::Filled,
        (true, it) if it.gather.is_some() => MappedReason::List,
        (true, it) if it.divide_by.is_some() => MappedReason::Divided,
        (true, it) if it.refers_to.is_some() => MappedReason::Names,
        (true, it) if it.from.as_ref() == Some(&it.to) => MappedReason::SameName,
        (true, _) => MappedReason::Similar,
    });
    let refers = comes.and_then(|it| it.refers_to.clone());
    let is_converted = refers.is_some() || comes.is_some_and(|it| it.divide_by.is_some());
    let warning = match (comes, source) {
        (None, _) if column.required => Some(MappedWarning::Missing),
        (Some(_), Some(source)) if !is_converted && !fits(source, column) => Some(MappedWarning::DoesNotFit),
        _ => None,
    };
    let suits = own.columns.iter().filter(|it| !it.only_to_read && fits(it, column));
    MappedColumn {
        column: column.name.clone(),
        holds: column.data_type.clone(),
        from,
        value: comes.and_then(|it| it.value.clone()),
        list: comes.or(proposal).and_then(|it| it.gather.clone()).or_else(|| proposal?.gather.clone()),
        is_list,
        divided_by: comes.and_then(|it| it.divide_by),
        names: refers,
        suits: suits.map(|it| it.column.clone()).collect(),
        reason,
        warning,
    }
}
