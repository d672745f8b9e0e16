//! Rows that come into a store: what its tables are like, and what is made of the rows of an export for them.
//!
//! Rows are laid down beside the tables first, as texts; what becomes of them is said by [`Entity`]s and done by the database
//! itself, so that a trial meets the very rules that the real thing meets. Everything that came in is on record in the same
//! transaction, with what is needed to take back exactly that. Deliberately absent: a driver of each column's type.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tables::{Holds, Refers};
use crate::error::Result;
use crate::ports::Reporter;

/// A column that values can come into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the words of the database, with length and precision.
    pub data_type: String,
    /// The same without.
    pub base: String,
    /// What it holds.
    pub holds: Holds,
    /// Whether a row cannot do without a value for it from outside.
    pub required: bool,
    /// Whether the database makes a value where none is given.
    pub made: Option<String>,
    /// Whether the database always works it out: nothing comes into it.
    pub generated: bool,
}

/// A table that rows can come into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// Other columns that tell rows apart.
    pub unique: Vec<Vec<String>>,
    /// Columns that name rows of other tables.
    pub refers: Vec<Refers>,
    /// Lists in it whose members are known: only the application's own interface tells of such.
    pub lists: Vec<List>,
    /// The entity of exports that comes in here, where that was said and has not to be guessed.
    pub entity: Option<String>,
}

/// A list in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The column.
    pub column: String,
    /// The entity whose rows it holds.
    pub of: String,
    /// What each of them holds.
    pub columns: Vec<Column>,
    /// Which of that names rows of other tables.
    pub refers: Vec<Refers>,
}

/// What happens to a row that is there already, by what tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum Duplicates {
    /// A person says so first.
    #[default]
    Ask,
    /// What is there stays.
    Skip,
    /// What is there gets the values of the export.
    Update,
}

/// Where a value comes from. Numbers are those of columns laid down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A column as it is, or divided.
    Plain {
        /// The column.
        at: usize,
        /// By how much.
        divide_by: Option<u64>,
    },
    /// What a row of another entity is called now, by what it was called then.
    Refers {
        /// The column.
        at: usize,
        /// The other entity.
        entity: String,
    },
    /// The rows of another entity that name this one, as a JSON list.
    Gather {
        /// Where they were laid down.
        from: usize,
        /// Their column that names this row.
        by: usize,
        /// The column of this row that they name.
        key: usize,
        /// What each of them holds.
        fields: Vec<Field>,
    },
    /// Always the same.
    Constant(String),
}

/// A member of a JSON object in a gathered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where it comes from: [`Value::Plain`] or [`Value::Refers`].
    pub value: Value,
    /// What it holds.
    pub holds: Holds,
}

/// What comes into one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The column.
    pub to: Column,
    /// What people call where it comes from.
    pub label: String,
    /// Where it comes from.
    pub value: Value,
    /// Whether it comes into rows that are new alone: what is there keeps its own, which nobody is shown.
    pub only_new: bool,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id, by which it is taken back.
    pub id: String,
    /// Where the export came from: rows of the same place with the same key are the same.
    pub source: String,
}

/// The rows of one entity and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// What people call it.
    pub entity: String,
    /// Where its rows were laid down.
    pub staged: usize,
    /// Columns laid down that tell the rows of the export apart; none: what they hold.
    pub key: Vec<usize>,
    /// The table.
    pub table: Table,
    /// What tells a row of the table from others that are there.
    pub natural_key: Vec<String>,
    /// What happens to one that is there.
    pub duplicates: Duplicates,
    /// What a person said of single ones, by what the rows of the export are known by: whether they get its values.
    pub answers: BTreeMap<String, bool>,
    /// What comes into its columns.
    pub columns: Vec<Assignment>,
}

/// A row that is there already and would get other values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// The number of the row of the export, from 1.
    pub n: u64,
    /// What that row is known by.
    pub key: String,
    /// For each column of the mapping what is there.
    pub there: Vec<Option<String>>,
    /// And what would come.
    pub comes: Vec<Option<String>>,
}

/// A row that does not come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Its number in the file, from 1.
    pub n: u64,
    /// The column, where it is one.
    pub col: Option<String>,
    /// Why.
    pub why: String,
}

/// What became of the rows of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Came {
    /// Rows that were laid down.
    pub rows: u64,
    /// That came in newly.
    pub inserted: u64,
    /// That were there and got the values of the export.
    pub updated: u64,
    /// That were there and stayed as they were.
    pub skipped: u64,
    /// That an earlier import of the same export had brought in.
    pub earlier: u64,
    /// That did not come in, by their number; the first 100,000.
    pub troubles: Vec<Trouble>,
    /// How many that are in all.
    pub out: u64,
    /// That came in and then were another than they should be, because the application altered them.
    pub altered: u64,
    /// How many rows a person has to be asked about; they stay as they are.
    pub asked: u64,
    /// The first hundred of these.
    pub pairs: Vec<There>,
}

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenBack {
    /// The table.
    pub table: String,
    /// Rows that were removed.
    pub removed: u64,
    /// Rows that have the values of before again.
    pub restored: u64,
    /// Rows that stay, with the reason, the first 1,000.
    pub stay: Vec<String>,
    /// How many that are.
    pub staying: u64,
}

/// Takes a row that is laid down: a text or nothing for each column.
pub type TakeRow<'t> = dyn FnMut(&[Option<&[u8]>]) -> Result<()> + 't;
/// Tells the rows that are laid down, one by one.
pub type Rows<'r> = dyn FnMut(&mut TakeRow<'_>) -> Result<()> + Send + 'r;

/// A store that rows can come into.
pub trait Intake: Send {
    /// Every table of the application, and what it takes otherwise.
    ///
    /// # Errors
    /// They cannot be read.
    fn tables(&mut self) -> Result<Vec<Table>>;
    /// Hears what is about to be laid down and to come in.
    ///
    /// # Errors
    /// It cannot come in so.
    fn prepare(&mut self, _entities: &[Entity]) -> Result<()> {
        Ok(())
    }
    /// Lays rows down beside the tables, under a number; what was laid down under it before goes. `key` are the columns that
    /// tell them apart.
    ///
    /// # Errors
    /// What the server, `rows` or `reporter` answered.
    fn lay_down(
        &mut self,
        number: usize,
        width: usize,
        key: &[usize],
        rows: &mut Rows<'_>,
        reporter: &dyn Reporter,
    ) -> Result<u64>;
    /// Brings the rows of one entity in, all of them in one transaction. `trial` takes everything back at the end: then all
    /// entities are one transaction, from the first to [`Intake::forget_trial`].
    ///
    /// # Errors
    /// What the server answered: nothing of this entity came in then.
    fn bring_in(&mut self, run: &Run, entity: &Entity, trial: bool, reporter: &dyn Reporter) -> Result<Came>;
    /// Takes everything back that trials did.
    ///
    /// # Errors
    /// What the server answered.
    fn forget_trial(&mut self) -> Result<()>;
    /// Removes what was laid down, and forgets trials.
    ///
    /// # Errors
    /// What the server answered.
    fn end(&mut self) -> Result<()>;
    /// Imports of which something is there, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    fn runs(&mut self) -> Result<Vec<String>>;
    /// Takes back what an import brought in, unless it was changed since or something else names it.
    ///
    /// # Errors
    /// What the server answered: nothing was taken back then.
    fn take_back(&mut self, run: &str, reporter: &dyn Reporter) -> Result<Vec<TakenBack>>;
}
