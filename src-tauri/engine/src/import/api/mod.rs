//! Rows that come in through the application's own interface over HTTP, where the profile declares one: with its rules and
//! whatever follows from them, row by row.
//!
//! What it takes looks like a table to the mapping ([`SCHEMA`] is the schema of those), so that a trial, duplicates, reports
//! and files of the rest are the same as with tables. What was sent is on record in a [`ledger`] before it leaves. Entities
//! that go into tables all the same pass through to the store beside. Deliberately absent: references between the two ways,
//! several requests at once.

mod back;
mod json;
mod ledger;
mod row;
mod send;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::ledger::{Laid, Ledger};
use self::row::Outcome;
use self::wire::Wire;
pub use self::wire::{Reached, Waits};
use crate::error::{Error, Result};
use crate::model::profile::{ApiField, EntityApi, FieldType, holes};
use crate::ports::{Reporter, Unit};
use crate::stores::intake::{Came, Column, Entity, Intake, List, Rows, Run, Table, TakenBack, Value};
use crate::stores::tables::{Holds, Refers};

/// The schema of what is no table: no database has one of this name without being asked twice.
pub const SCHEMA: &str = "@api";

/// What was sent, in the folder of an installation's imports.
const LEDGER: &str = "sent.db";
const LAID: &str = "laid.db";
/// Rows with trouble that are told one by one, and rows that a person is asked about at a time; as with tables.
const MOST: usize = 100_000;
const ASKED: usize = 100;

/// An application that rows come into by itself, and the store beside.
pub struct ApiIntake {
    wire: Wire,
    entities: BTreeMap<String, EntityApi>,
    ledger: Ledger,
    folder: PathBuf,
    laid: Option<Laid>,
    /// How wide the rows are that are laid down here.
    widths: BTreeMap<usize, usize>,
    /// The numbers of those that are needed here, and of those that are needed beside.
    here: BTreeSet<usize>,
    there: BTreeSet<usize>,
    beside: Option<Box<dyn Intake>>,
}

impl std::fmt::Debug for ApiIntake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiIntake").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ApiIntake {
    /// Makes ready; nothing is asked yet. `folder` is where imports of the installation are remembered.
    ///
    /// # Errors
    /// Those of [`Wire::open`]; what the disk answered.
    pub fn open(
        reached: Reached,
        entities: BTreeMap<String, EntityApi>,
        folder: &Path,
        beside: Option<Box<dyn Intake>>,
    ) -> Result<Self> {
        Ok(Self {
            wire: Wire::open(reached)?,
            entities,
            ledger: Ledger::open(&folder.join(LEDGER))?,
            folder: folder.to_owned(),
            laid: None,
            widths: BTreeMap::new(),
            here: BTreeSet::new(),
            there: BTreeSet::new(),
            beside,
        })
    }

    fn laid(&mut self) -> Result<&Laid> {
        if self.laid.is_none() {
            self.laid = Some(Laid::open(&self.folder.join(LAID))?);
        }
        self.lain()
    }

    fn lain(&self) -> Result<&Laid> {
        self.laid.as_ref().ok_or_else(|| Error::bug("nothing_laid", "Rows were asked for before they were laid down."))
    }

    fn api(&self, entity: &Entity) -> Result<&EntityApi> {
        self.entities
            .get(&entity.table.name)
            .ok_or_else(|| Error::bug("no_api", format!("Nothing is said of how {} come in.", entity.table.name)))
    }

    fn beside(&mut self) -> Result<&mut dyn Intake> {
        match &mut self.beside {
            Some(beside) => Ok(beside.as_mut()),
            None => Err(Error::bug("no_intake", "There is no table that this could come into.")),
        }
    }

    fn bring(&mut self, run: &Run, entity: &Entity, trial: bool, reporter: &dyn Reporter) -> Result<Came> {
        for column in &entity.columns {
            if let Value::Gather { from, by, .. } = column.value {
                self.laid()?.prepare_children(from, by)?;
            }
        }
        let width = self.widths.get(&entity.staged).copied().unwrap_or_default();
        self.laid()?.forget_known(&entity.entity)?;
        let rows = self.lain()?.count(entity.staged)?;
        let mut came = Came { rows, ..Came::default() };
        let mut behind = 0;
        loop {
            let some = self.lain()?.some(entity.staged, width, behind)?;
            let Some(last) = some.last() else { return Ok(came) };
            behind = last.n;
            for row in &some {
                reporter.check()?;
                match self.row(run, entity, row, trial, reporter)? {
                    Outcome::Inserted => came.inserted += 1,
                    Outcome::Updated => came.updated += 1,
                    Outcome::Skipped => came.skipped += 1,
                    Outcome::Earlier => came.earlier += 1,
                    Outcome::Asked(there) => {
                        came.asked += 1;
                        if came.pairs.len() < ASKED {
                            came.pairs.push(there);
                        }
                    }
                    Outcome::Out(trouble) => {
                        came.out += 1;
                        if came.troubles.len() < MOST {
                            came.troubles.push(trouble);
                        }
                    }
                }
                reporter.moved(row.n, Some(rows.max(row.n)), Unit::Rows);
            }
        }
    }
}

impl Intake for ApiIntake {
    fn tables(&mut self) -> Result<Vec<Table>> {
        let mut tables: Vec<Table> = self.entities.iter().map(|(name, api)| table(name, api)).collect();
        if let Some(beside) = &mut self.beside {
            tables.extend(beside.tables()?);
        }
        Ok(tables)
    }

    fn prepare(&mut self, entities: &[Entity]) -> Result<()> {
        self.here.clear();
        self.there.clear();
        let is_here = |it: &Entity| it.table.schema == SCHEMA;
        for entity in entities {
            let numbers = if is_here(entity) { &mut self.here } else { &mut self.there };
            numbers.insert(entity.staged);
            for column in &entity.columns {
                if let Value::Gather { from, .. } = column.value {
                    numbers.insert(from);
                }
            }
            for name in named_by(entity) {
                let other = entities.iter().find(|it| it.entity == name);
                if other.is_some_and(|it| is_here(it) != is_here(entity)) {
                    return Err(bad(
                        entity,
                        format!(
                            "they name {name}, and one of the two comes in through the application and the other into a table"
                        ),
                    ));
                }
            }
            if is_here(entity) {
                self.expect_findable(entity)?;
            }
        }
        Ok(())
    }

    fn lay_down(
        &mut self,
        number: usize,
        width: usize,
        key: &[usize],
        rows: &mut Rows<'_>,
        reporter: &dyn Reporter,
    ) -> Result<u64> {
        let mut laid_down = 0;
        if self.here.contains(&number) {
            self.widths.insert(number, width);
            let laid = self.laid()?;
            laid.begin(number, width)?;
            rows(&mut |row| {
                laid_down += 1;
                let values = row
                    .iter()
                    .map(|it| it.map(std::str::from_utf8).transpose())
                    .collect::<std::result::Result<Vec<_>, _>>();
                let values = values.map_err(|_| {
                    Error::failed("bad_row", format!("Row {laid_down} holds something that is not text in UTF-8."))
                        .remedy("Save the file again as UTF-8.")
                })?;
                laid.put(number, laid_down, key_of(key, &values), &values)
            })?;
            laid.done()?;
        }
        if self.there.contains(&number) {
            laid_down = self.beside()?.lay_down(number, width, key, rows, reporter)?;
        }
        Ok(laid_down)
    }

    fn bring_in(&mut self, run: &Run, entity: &Entity, trial: bool, reporter: &dyn Reporter) -> Result<Came> {
        if entity.table.schema != SCHEMA {
            return self.beside()?.bring_in(run, entity, trial, reporter);
        }
        let came = self.bring(run, entity, trial, reporter);
        // Whatever ended it, what was done is on record.
        self.ledger.keep()?;
        came.map_err(|error| error.detail(format!("while bringing in {}", entity.entity)))
    }

    fn forget_trial(&mut self) -> Result<()> {
        if let Some(laid) = &self.laid {
            laid.forget_tried()?;
        }
        self.beside.as_mut().map_or(Ok(()), |it| it.forget_trial())
    }

    fn end(&mut self) -> Result<()> {
        self.laid = None;
        self.beside.as_mut().map_or(Ok(()), |it| it.end())
    }

    fn runs(&mut self) -> Result<Vec<String>> {
        let mut runs = self.ledger.runs()?;
        if let Some(beside) = &mut self.beside {
            runs.extend(beside.runs()?);
        }
        // Their ids begin with the time.
        runs.sort_unstable_by(|one, other| other.cmp(one));
        runs.dedup();
        Ok(runs)
    }

    fn take_back(&mut self, run: &str, reporter: &dyn Reporter) -> Result<Vec<TakenBack>> {
        let mut taken = self.take_all_back(run, reporter)?;
        if let Some(beside) = &mut self.beside {
            taken.extend(beside.take_back(run, reporter)?);
        }
        Ok(taken)
    }
}

impl ApiIntake {
    /// That one that was sent can be found again, and that every path can be filled.
    fn expect_findable(&self, entity: &Entity) -> Result<()> {
        let api = self.api(entity)?;
        let comes = |name: &str| entity.columns.iter().any(|it| it.to.name == name);
        if let Some(hole) = holes(&api.create.path).into_iter().find(|it| !comes(it)) {
            return Err(bad(entity, format!("nothing comes into “{hole}”, which the path to the application needs")));
        }
        if row::findable(entity, api).is_none() && !self.wire.knows_again() {
            let key = api.key.join(", ");
            return Err(bad(entity, format!("nothing tells one that is there already; {key} should stand in its key")));
        }
        Ok(())
    }
}

fn bad(entity: &Entity, what: String) -> Error {
    Error::usage("bad_mapping", format!("In the mapping of {}: {what}.", entity.entity))
        .remedy("Correct the file of the mapping; `liftlock import FOLDER --show-mapping` prints a fresh suggestion.")
}

/// The entities whose rows it names.
fn named_by(entity: &Entity) -> Vec<String> {
    let named = |value: &Value| match value {
        Value::Refers { entity, .. } => Some(entity.clone()),
        Value::Plain { .. } | Value::Gather { .. } | Value::Constant(_) => None,
    };
    let inside = entity.columns.iter().filter_map(|it| match &it.value {
        Value::Gather { fields, .. } => Some(fields),
        _ => None,
    });
    let own = entity.columns.iter().filter_map(|it| named(&it.value));
    own.chain(inside.flatten().filter_map(|it| named(&it.value))).collect()
}

/// What a row is known by: its key, or nothing where a part of it is missing.
fn key_of(key: &[usize], values: &[Option<&str>]) -> Option<String> {
    match key {
        [] => None,
        [one] => values.get(*one).copied().flatten().map(ToOwned::to_owned),
        many => {
            let texts: Option<Vec<&str>> = many.iter().map(|at| values.get(*at).copied().flatten()).collect();
            serde_json::to_string(&texts?).ok()
        }
    }
}

/// What the application takes, in the form of a table.
fn table(entity: &str, api: &EntityApi) -> Table {
    let lists = api.fields.iter().filter(|it| it.kind == FieldType::List).map(|it| List {
        column: it.field.clone(),
        of: it.of.clone().unwrap_or_default(),
        columns: it.fields.iter().map(column).collect(),
        refers: refers(&it.fields),
    });
    Table {
        schema: SCHEMA.to_owned(),
        name: entity.to_owned(),
        columns: api.fields.iter().map(column).collect(),
        key: Vec::new(),
        unique: Some(api.key.clone()).filter(|it| !it.is_empty()).into_iter().collect(),
        refers: refers(&api.fields),
        lists: lists.collect(),
        entity: Some(entity.to_owned()),
    }
}

fn refers(fields: &[ApiField]) -> Vec<Refers> {
    let one = |it: &ApiField| {
        let table = it.refers.clone()?;
        Some(Refers { column: it.field.clone(), schema: SCHEMA.to_owned(), table, to: None })
    };
    fields.iter().filter_map(one).collect()
}

fn column(field: &ApiField) -> Column {
    let base = field.kind.base().to_owned();
    Column {
        name: field.field.clone(),
        data_type: base.clone(),
        holds: Holds::of(&base),
        base,
        required: field.required,
        made: None,
        generated: false,
    }
}
