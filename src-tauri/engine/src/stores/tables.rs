//! Tables as an export reads them: what they are like, and their rows as text, all in one snapshot.
//!
//! A value is the text that the database itself gives for it, so nothing goes through a floating point number or a
//! clock of ours. Bytes are in hexadecimal, true and false are `t` and `f`. Deliberately absent: typed values.

use std::fmt;

pub use liftlock_rows::{Column, Holds, Row};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ports::Reporter;

/// The schema of tables where the database knows none, and the one that goes without saying where it does.
pub const USUAL_SCHEMA: &str = "public";

/// The class of [`vanished`].
pub(super) const VANISHED: &str = "table_vanished";

/// What was read is not there any more as it was.
pub(super) fn vanished() -> Error {
    Error::failed(VANISHED, "A table was altered or removed while it was read.")
        .remedy("Wait until whoever works on the database is done, then export again.")
}

/// Bytes as text, as PostgreSQL writes them: the same in every form of an export, whatever they came from.
pub fn bytes_as_text(bytes: &[u8]) -> String {
    format!("\\x{}", crate::digest::hex(bytes))
}

/// What PostgreSQL calls a type of another database, by its name in small letters and without length. One that is not
/// known is called what it is.
pub fn usual_type(name: &str) -> &str {
    match name {
        "datetime" | "datetime2" | "smalldatetime" => "timestamp without time zone",
        "datetimeoffset" => "timestamp with time zone",
        "time" => "time without time zone",
        "blob" | "tinyblob" | "mediumblob" | "longblob" | "binary" | "varbinary" | "image" | "rowversion" => "bytea",
        "char" | "nchar" | "varchar" | "nvarchar" | "tinytext" | "mediumtext" | "longtext" | "ntext" | "clob"
        | "enum" | "set" => "text",
        "uniqueidentifier" => "uuid",
        other => other,
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its schema; [`USUAL_SCHEMA`] where the database knows none.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns that tell its rows apart; none where the database knows of none.
    pub key: Vec<String>,
    /// Columns that name rows of other tables.
    pub refers: Vec<Refers>,
}

/// A column that names a row of another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refers {
    /// The column.
    pub column: String,
    /// The schema of the other table.
    pub schema: String,
    /// The other table.
    pub table: String,
    /// The column of the other table that it names; its key where that is not known.
    #[serde(default)]
    pub to: Option<String>,
}

/// What the database says of the columns of a table, to compare files with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// For each column how many rows have a value.
    pub filled: Vec<u64>,
    /// For each column of whole numbers their sum; `None` for others.
    pub sums: Vec<Option<i128>>,
}

/// A database that an export can be read from.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name in the profile.
    fn name(&self) -> &str;
    /// A mark of this moment, by which it is told later whether anything was written since.
    ///
    /// # Errors
    /// It cannot be reached or read.
    fn moment(&self, _reporter: &dyn Reporter) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }
    /// Its tables as they are at this instant. `None` where there are none to be read.
    ///
    /// # Errors
    /// It cannot be reached.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        Ok(None)
    }
    /// What it is known by, whatever it is called later; `None` for files, which go with the folder of the installation.
    ///
    /// # Errors
    /// It cannot be reached.
    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// The tables of a store as they were at one instant.
pub trait Snapshot: Send {
    /// The database in words: `PostgreSQL 17.2`.
    fn source(&self) -> String;
    /// What a person must know of everything that is read from it, as sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// Every table that the user's data may be in, by schema and name.
    ///
    /// # Errors
    /// They cannot be read.
    fn tables(&mut self) -> Result<Vec<Table>>;
    /// Counts and sums of these columns, by the database itself.
    ///
    /// # Errors
    /// They cannot be read; what `reporter` answered.
    fn totals(&mut self, table: &Table, columns: &[Column], reporter: &dyn Reporter) -> Result<Totals>;
    /// Tells every row to `take`, holding no more than a few of them in memory: in the order of the columns in `order`, as
    /// the database orders them, those without a value last; in no order where there are none.
    ///
    /// # Errors
    /// They cannot be read; what `take` or `reporter` answered.
    fn rows(
        &mut self,
        table: &Table,
        columns: &[Column],
        order: &[String],
        take: &mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<()>;
}
