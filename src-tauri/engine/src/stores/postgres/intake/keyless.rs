//! Rows of a table without a primary key: known by what they hold, so many times as they are there.
//!
//! What came in is remembered by the mark of the whole row. Taking it back removes as many rows with that mark as came in; which
//! of several equal ones goes makes no difference. One that was changed since is not known again. Rows that are there already
//! stay as they are, as nothing would tell which values they had before.

use super::PostgresIntake;
use super::words::{MARK, Parts, TROUBLE_OF_THE_SERVER, at_once_or_each};
use crate::error::Result;
use crate::ports::Reporter;
use crate::stores::intake::{Run, Table, TakenBack};
use crate::stores::postgres::intake::SCHEMA;
use crate::stores::postgres::quote::{ident, literal};
use serde::Deserialize;

impl Parts<'_> {
    /// Where rows that were inserted are found until the end of the transaction.
    pub(super) fn create_spots() -> String {
        "CREATE TEMP TABLE liftlock_in (n bigint, nth bigint, spot tid, mark text) ON COMMIT DROP".to_owned()
    }

    pub(super) fn insert_keyless(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|it| ident(&it.to.name)).collect();
        let values: Vec<_> = (0..self.columns.len()).map(|at| format!("x.v{at}")).collect();
        let is_meant = "x.found IS NULL AND x.why IS NULL";
        let insert = |which: &str, n: &str| {
            format!(
                "WITH i AS (INSERT INTO {} AS liftlock_t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_temp.liftlock_x x \
                 WHERE {which} ORDER BY x.n RETURNING liftlock_t.ctid AS spot, {MARK} AS mark) \
                 INSERT INTO pg_temp.liftlock_in SELECT {n}, row_number() OVER (), i.spot, i.mark FROM i; \
                 UPDATE pg_temp.liftlock_x x SET ok = true WHERE {which}",
                self.target,
                names.join(", "),
                values.join(", ")
            )
        };
        // They were inserted in the order of their numbers.
        let numbered = format!(
            "UPDATE pg_temp.liftlock_in y SET n = w.n FROM (SELECT x.n, row_number() OVER (ORDER BY x.n) AS nth \
             FROM pg_temp.liftlock_x x WHERE {is_meant}) w WHERE w.nth = y.nth"
        );
        at_once_or_each(
            &format!("{}; {numbered}", insert(is_meant, "NULL::bigint")),
            &format!("SELECT x.n FROM pg_temp.liftlock_x x WHERE {is_meant} ORDER BY x.n"),
            &insert("x.n = liftlock_r.n", "liftlock_r.n"),
            TROUBLE_OF_THE_SERVER,
        )
    }

    pub(super) fn record_keyless(&self, run: &Run) -> String {
        let target = literal(&format!("{}.{}", self.entity.table.schema, self.entity.table.name));
        format!(
            "INSERT INTO {SCHEMA}.came (source, run, entity, row_key, target, pk, new_id, act, before, mark) \
             SELECT {}, {}, {}, x.k, {target}, '{{}}', NULL, CASE WHEN x.found IS NULL THEN 'inserted' ELSE 'found' END, NULL, \
             i.mark FROM pg_temp.liftlock_x x LEFT JOIN pg_temp.liftlock_in i ON i.n = x.n WHERE x.ok ORDER BY x.n",
            self.source,
            literal(&run.id),
            literal(&self.entity.entity),
        )
    }

    /// How many came in and are another than they should be: what should be there and is not, each as often as it should.
    pub(super) fn altered_keyless(&self) -> String {
        let own = self.columns.iter().enumerate();
        let wanted: Vec<_> = own.map(|(at, it)| format!("x.v{at}::{}::text", it.to.data_type)).collect();
        let found: Vec<_> = self.columns.iter().map(|it| format!("liftlock_t.{}::text", ident(&it.to.name))).collect();
        format!(
            "SELECT count(*) AS count FROM (SELECT {} FROM pg_temp.liftlock_x x WHERE x.ok AND x.found IS NULL EXCEPT ALL \
             SELECT {} FROM {} liftlock_t JOIN pg_temp.liftlock_in i ON i.spot = liftlock_t.ctid) q",
            wanted.join(", "),
            found.join(", "),
            self.target
        )
    }
}

impl PostgresIntake {
    /// Takes back what came into such a table. `unnamed` says that nothing else names a row of it.
    pub(super) fn take_back_keyless(
        &mut self,
        (run, target): (&str, &str),
        table: &Table,
        unnamed: &str,
        reporter: &dyn Reporter,
    ) -> Result<TakenBack> {
        #[derive(Deserialize)]
        struct Figures {
            removed: u64,
            left: u64,
        }
        let name = format!("{}.{}", ident(&table.schema), ident(&table.name));
        let mine = format!("c.run = {} AND c.target = {}", literal(run), literal(target));
        self.session.run("TRUNCATE pg_temp.liftlock_trouble")?;
        self.watched(
            &format!(
                "CREATE TEMP TABLE liftlock_back ON COMMIT DROP AS SELECT c.at AS n, false AS ok FROM {SCHEMA}.came c \
                 WHERE {mine} AND c.act = 'inserted'"
            ),
            reporter,
        )?;
        let remove = |which: &str| {
            format!(
                "WITH want AS (SELECT c.at, c.mark, row_number() OVER (PARTITION BY c.mark ORDER BY c.at) AS nth \
                 FROM {SCHEMA}.came c WHERE {mine} AND c.act = 'inserted' AND {which}), \
                 have AS (SELECT liftlock_t.tableoid AS part, liftlock_t.ctid AS spot, {MARK} AS mark, \
                 row_number() OVER (PARTITION BY {MARK}) AS nth FROM {name} liftlock_t \
                 WHERE {MARK} IN (SELECT want.mark FROM want){unnamed}), \
                 pair AS (SELECT want.at, have.part, have.spot FROM want JOIN have ON have.mark = want.mark AND have.nth = want.nth), \
                 gone AS (DELETE FROM {name} liftlock_t USING pair WHERE liftlock_t.tableoid = pair.part \
                 AND liftlock_t.ctid = pair.spot RETURNING pair.at) \
                 UPDATE pg_temp.liftlock_back x SET ok = true FROM gone WHERE gone.at = x.n"
            )
        };
        let block = at_once_or_each(
            &remove("true"),
            "SELECT x.n FROM pg_temp.liftlock_back x ORDER BY x.n DESC",
            &remove("c.at = liftlock_r.n"),
            TROUBLE_OF_THE_SERVER,
        );
        self.watched(&block, reporter)?;
        let figures: Figures = self.one_watched(
            "SELECT count(*) FILTER (WHERE ok) AS removed, count(*) FILTER (WHERE NOT ok) AS left FROM pg_temp.liftlock_back",
            reporter,
        )?;
        // What is not known again never will be.
        self.watched(&format!("DELETE FROM {SCHEMA}.came c WHERE {mine}"), reporter)?;
        self.session.run("DROP TABLE pg_temp.liftlock_back")?;
        let why = "not there any more as they came in, changed or removed since; the table has no key to know them by";
        let stay = (figures.left > 0).then(|| format!("{}: {} rows are {why}", table.name, figures.left));
        Ok(TakenBack {
            table: if table.schema == "public" { table.name.clone() } else { target.to_owned() },
            removed: figures.removed,
            restored: 0,
            stay: stay.into_iter().collect(),
            staying: figures.left,
        })
    }
}
