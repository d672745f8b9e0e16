//! Rows that come into a PostgreSQL database: laid down by `COPY`, brought in by the server itself.
//!
//! A whole entity is tried at once; where that fails, row by row, so that each row that does not come in is named with the
//! reason. What came in is on record in the schema `liftlock_import` of the same database, in the same transaction.
//! A trial does all of it and takes it back, counters included, so that no number of the application is used up by it.

mod back;
mod keyless;
mod lay;
mod tables;
mod there;
mod words;

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::words::Parts;
use super::client::Client;
use super::quote::{ident, literal};
use super::session::Session;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::intake::{Came, Entity, Intake, Rows, Run, Table, TakenBack, There, Trouble, Value};

/// How long one statement may take at most. Whoever reports may stop it sooner.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Where our own tables are.
const SCHEMA: &str = "liftlock_import";
/// Rows with trouble that are told one by one.
const MOST: usize = 100_000;
/// Rows that a person is asked about at a time.
const ASKED: usize = 100;

/// A database that rows come into.
pub(super) struct PostgresIntake {
    session: Session,
    client: Client,
    database: String,
    is_open: bool,
    /// Counters that the trial under way moves on, with where they stood.
    counters: Vec<Counter>,
}

/// A counter, and where it stood before a trial; nowhere where it was never asked.
struct Counter {
    /// In the words of the database: `'public.orders_id_seq'::regclass`.
    sequence: String,
    stood: Option<i64>,
}

impl PostgresIntake {
    /// Connects. What decides how values are read and written is fixed.
    pub(super) fn open(client: &Client, database: &str) -> Result<Self> {
        let mut session = client.connect(database)?;
        session.run("SET bytea_output TO 'hex'")?;
        session.run("SET intervalstyle TO 'postgres'")?;
        session.run("SET extra_float_digits TO 3")?;
        Ok(Self {
            session,
            client: client.clone(),
            database: database.to_owned(),
            is_open: false,
            counters: Vec::new(),
        })
    }

    fn watched(&mut self, sql: &str, reporter: &dyn Reporter) -> Result<()> {
        self.session.run_watched(sql, LONGEST, &mut || reporter.check())
    }

    fn one_watched<T: DeserializeOwned>(&mut self, sql: &str, reporter: &dyn Reporter) -> Result<T> {
        let mut rows: Vec<T> = self.session.rows_watched(sql, LONGEST, &mut || reporter.check())?;
        rows.pop().ok_or_else(|| Error::bug("no_figures", "The figures of an import were not answered."))
    }

    /// Begins a transaction in which the application's own functions find what they name.
    fn begin(&mut self) -> Result<()> {
        self.session.run("RESET search_path")?;
        self.session.run("BEGIN")?;
        self.is_open = true;
        self.counters.clear();
        // What is checked at the end would otherwise be told of no row.
        self.session.run("SET CONSTRAINTS ALL IMMEDIATE")?;
        self.session.run("SET LOCAL lock_timeout TO '15s'")?;
        self.session.run("CREATE TEMP TABLE liftlock_trouble (n bigint, col text, why text) ON COMMIT DROP")
    }

    fn close(&mut self, how: &str) -> Result<()> {
        self.is_open = false;
        self.session.run(how)?;
        self.session.run("SET search_path TO pg_catalog")
    }

    fn bring(&mut self, run: &Run, entity: &Entity, reporter: &dyn Reporter) -> Result<Came> {
        #[derive(Deserialize)]
        struct Figures {
            rows: u64,
            inserted: u64,
            updated: u64,
            skipped: u64,
            earlier: u64,
            asked: u64,
            out: u64,
        }
        #[derive(Deserialize)]
        struct Asked {
            n: u64,
            key: String,
            there: Vec<Option<String>>,
            comes: Vec<Option<String>>,
        }
        let parts = Parts::of(entity, &run.source)?;
        self.session.run("TRUNCATE pg_temp.liftlock_trouble")?;
        for statement in parts.statements(run) {
            self.watched(&statement, reporter)?;
        }
        let figures: Figures = self.one_watched(&parts.figures(run), reporter)?;
        let troubles: Vec<Trouble> = self.session.rows_watched(
            &format!("SELECT DISTINCT ON (n) n, col, why FROM pg_temp.liftlock_trouble ORDER BY n, col LIMIT {MOST}"),
            LONGEST,
            &mut || reporter.check(),
        )?;
        let altered = self.altered(&parts, reporter)?;
        let mut pairs = Vec::new();
        if figures.asked > 0 {
            let asked: Vec<Asked> =
                self.session.rows_watched(&parts.asked(ASKED), LONGEST, &mut || reporter.check())?;
            pairs.extend(asked.into_iter().map(|it| There { n: it.n, key: it.key, there: it.there, comes: it.comes }));
        }
        self.session.run("DROP TABLE pg_temp.liftlock_x")?;
        self.session.run("DROP TABLE pg_temp.liftlock_in")?;
        Ok(Came {
            rows: figures.rows,
            inserted: figures.inserted,
            updated: figures.updated,
            skipped: figures.skipped,
            earlier: figures.earlier,
            troubles,
            out: figures.out,
            altered,
            asked: figures.asked,
            pairs,
        })
    }

    fn altered(&mut self, parts: &Parts<'_>, reporter: &dyn Reporter) -> Result<u64> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        match parts.altered() {
            Some(sql) => Ok(self.one_watched::<Count>(&sql, reporter)?.count),
            None => Ok(0),
        }
    }

    fn stands(&mut self, sequence: &str) -> Result<Option<i64>> {
        #[derive(Deserialize)]
        struct Stands {
            stands: Option<i64>,
        }
        let row: Stands = self.session.one(&format!("SELECT pg_sequence_last_value({sequence}) AS stands"))?;
        Ok(row.stands)
    }

    /// Remembers where the counters of a table stand, before a trial moves them on.
    fn note_counters(&mut self, table: &Table) -> Result<()> {
        for sequence in table.columns.iter().filter_map(words::counter) {
            if self.counters.iter().any(|it| it.sequence == sequence) {
                continue;
            }
            let stood = self.stands(&sequence)?;
            self.counters.push(Counter { sequence, stood });
        }
        Ok(())
    }

    /// Sets the counters of a trial back, unless somebody else has counted on meanwhile.
    fn set_counters_back(&mut self, counters: &[(Counter, Option<i64>)]) {
        for (Counter { sequence, stood }, now) in counters {
            let Some(now) = now.filter(|_| stood != now) else { continue };
            let to = match stood {
                Some(stood) => format!("setval({sequence}, {stood})"),
                None => {
                    format!("setval({sequence}, (SELECT seqstart FROM pg_sequence WHERE seqrelid = {sequence}), false)")
                }
            };
            // Where that is not allowed, numbers are left out, as after any transaction that was taken back.
            let _ = self.session.run(&format!("SELECT {to} WHERE pg_sequence_last_value({sequence}) = {now}"));
        }
    }

    fn has_record(&mut self) -> Result<bool> {
        self.session.finds(&format!("SELECT 1 AS one WHERE to_regclass('{SCHEMA}.came') IS NOT NULL"))
    }

    fn drop_if_empty(&mut self) -> Result<()> {
        if self.has_record()? && !self.session.finds(&format!("SELECT 1 AS one FROM {SCHEMA}.came LIMIT 1"))? {
            self.session.run(&format!("DROP TABLE {SCHEMA}.came"))?;
            self.session.run(&format!("DROP SCHEMA {SCHEMA}"))?;
        }
        Ok(())
    }
}

impl Intake for PostgresIntake {
    fn tables(&mut self) -> Result<Vec<Table>> {
        tables::read(&mut self.session)
    }

    fn lay_down(
        &mut self,
        number: usize,
        width: usize,
        key: &[usize],
        rows: &mut Rows<'_>,
        reporter: &dyn Reporter,
    ) -> Result<u64> {
        self.lay(number, width, key, rows, reporter)
    }

    fn bring_in(&mut self, run: &Run, entity: &Entity, trial: bool, reporter: &dyn Reporter) -> Result<Came> {
        for column in &entity.columns {
            if let Value::Gather { from, by, .. } = column.value {
                self.watched(
                    &format!("CREATE INDEX IF NOT EXISTS s_{from}_c{by} ON {SCHEMA}.s_{from} (c{by})"),
                    reporter,
                )?;
            }
        }
        if !self.is_open {
            self.begin()?;
        }
        let noted = if trial { self.note_counters(&entity.table) } else { Ok(()) };
        let came = noted.and_then(|()| self.bring(run, entity, reporter));
        match (came, trial) {
            (Ok(came), true) => Ok(came),
            (Ok(came), false) => self.close("COMMIT").map(|()| came),
            (Err(error), _) => {
                // The first error is the one to tell.
                let _ = self.forget_trial();
                Err(error.detail(format!("while bringing in {}", entity.entity)))
            }
        }
    }

    fn forget_trial(&mut self) -> Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let mut moved = Vec::new();
        for counter in std::mem::take(&mut self.counters) {
            // In a transaction that failed nothing can be asked: then numbers are left out.
            let now = self.stands(&counter.sequence).ok().flatten();
            moved.push((counter, now));
        }
        self.close("ROLLBACK")?;
        self.set_counters_back(&moved);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        self.forget_trial()?;
        let staged: Vec<Name> = self.session.rows(&format!(
            "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relkind = 'r' AND c.relname ~ '^s_[0-9]+$'",
            literal(SCHEMA)
        ))?;
        for it in staged {
            self.session.run(&format!("DROP TABLE {SCHEMA}.{}", ident(&it.name)))?;
        }
        self.drop_if_empty()
    }

    fn runs(&mut self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Found {
            run: String,
        }
        if !self.has_record()? {
            return Ok(Vec::new());
        }
        let runs: Vec<Found> =
            self.session.rows(&format!("SELECT run FROM {SCHEMA}.came GROUP BY run ORDER BY max(at) DESC"))?;
        Ok(runs.into_iter().map(|it| it.run).collect())
    }

    fn take_back(&mut self, run: &str, reporter: &dyn Reporter) -> Result<Vec<TakenBack>> {
        if !self.has_record()? {
            return Ok(Vec::new());
        }
        self.take_all_back(run, reporter)
    }
}
