//! What an import brought in is taken back, and nothing else.

use serde::Deserialize;

use super::words::{MARK, TROUBLE_OF_THE_SERVER, at_once_or_each, loose, same_key};
use super::{LONGEST, PostgresIntake, SCHEMA};
use crate::error::Result;
use crate::ports::Reporter;
use crate::stores::intake::{Table, TakenBack, Trouble};
use crate::stores::postgres::quote::{ident, literal};

/// Another table that names rows of this one.
struct NamedBy {
    schema: String,
    name: String,
    /// That one of its rows names `liftlock_t`.
    condition: String,
    /// The columns it names them by, where looking for one takes long.
    index: Option<String>,
}

/// Reasons that are told one by one.
const TOLD: usize = 1000;

impl PostgresIntake {
    pub(super) fn take_all_back(&mut self, run: &str, reporter: &dyn Reporter) -> Result<Vec<TakenBack>> {
        #[derive(Deserialize)]
        struct Target {
            target: String,
        }
        let tables = super::tables::read(&mut self.session)?;
        // Last in, first out: what names others goes before them.
        let targets: Vec<Target> = self.session.rows(&format!(
            "SELECT target FROM {SCHEMA}.came WHERE run = {} GROUP BY target ORDER BY max(at) DESC",
            literal(run)
        ))?;
        self.begin()?;
        let mut taken = Vec::new();
        for it in targets {
            let table = tables.iter().find(|table| format!("{}.{}", table.schema, table.name) == it.target);
            let one = match table {
                Some(table) => self.take_back_of(run, &it.target, table, reporter),
                None => Ok(TakenBack {
                    table: it.target.clone(),
                    stay: vec!["the table is gone".to_owned()],
                    ..TakenBack::default()
                }),
            };
            match one {
                Ok(one) => taken.push(one),
                Err(error) => {
                    let _ = self.close("ROLLBACK");
                    return Err(error);
                }
            }
        }
        self.close("COMMIT")?;
        self.drop_if_empty()?;
        Ok(taken)
    }

    /// What other tables name rows of this one by, whatever would become of them.
    fn named_by(&mut self, target: &str) -> Result<Vec<NamedBy>> {
        #[derive(Deserialize)]
        struct Names {
            schema: String,
            name: String,
            pairs: Vec<(String, String)>,
            is_slow: bool,
        }
        let found: Vec<Names> = self.session.rows(&format!(
            "SELECT n.nspname AS schema, c.relname AS name, pg_relation_size(c.oid) > 500000 AND NOT EXISTS (SELECT 1 FROM pg_index i \
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = ANY (o.conkey)) AS is_slow, (SELECT json_agg(json_build_array(a.attname, b.attname)) \
             FROM unnest(o.conkey, o.confkey) AS k (one, other) \
             JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.one \
             JOIN pg_attribute b ON b.attrelid = o.confrelid AND b.attnum = k.other) AS pairs \
             FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_class f ON f.oid = o.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace \
             WHERE o.contype = 'f' AND o.conparentid = 0 AND fn.nspname || '.' || f.relname = {}",
            literal(target)
        ))?;
        let named = |it: Names| {
            let same: Vec<_> = it
                .pairs
                .iter()
                .map(|(one, other)| format!("liftlock_n.{} = liftlock_t.{}", ident(one), ident(other)))
                .collect();
            let table = format!("{}.{}", ident(&it.schema), ident(&it.name));
            let columns: Vec<_> = it.pairs.iter().map(|(one, _)| ident(one)).collect();
            NamedBy {
                condition: format!("EXISTS (SELECT 1 FROM {table} liftlock_n WHERE {})", same.join(" AND ")),
                index: it.is_slow.then(|| format!("{table} ({})", columns.join(", "))),
                schema: it.schema,
                name: it.name,
            }
        };
        Ok(found.into_iter().map(named).collect())
    }

    /// For each row that goes the server looks through every table that could name it. Where that has no index it would
    /// read it whole each time, with all that we removed from it still in it: minutes become days. Answers what to drop.
    fn help_looking(&mut self, named_by: &[NamedBy], reporter: &dyn Reporter) -> Result<Vec<String>> {
        let mut made = Vec::new();
        for (at, it) in named_by.iter().enumerate() {
            let Some(columns) = &it.index else { continue };
            let name = format!("liftlock_back_{at}");
            self.session.run("SAVEPOINT liftlock_help")?;
            match self.watched(&format!("CREATE INDEX {name} ON {columns}"), reporter) {
                Ok(()) => {
                    self.session.run("RELEASE liftlock_help")?;
                    made.push(format!("{}.{name}", ident(&it.schema)));
                }
                // Who may not make one takes longer.
                Err(error) if error.class == "insufficient_rights" => self.session.run("ROLLBACK TO liftlock_help")?,
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    fn take_back_of(&mut self, run: &str, target: &str, table: &Table, reporter: &dyn Reporter) -> Result<TakenBack> {
        #[derive(Deserialize)]
        struct Figures {
            removed: u64,
            restored: u64,
        }
        let name = format!("{}.{}", ident(&table.schema), ident(&table.name));
        // Whatever the server looks at first: what is on record for another table is never read as a key of this one.
        let own = format!("(CASE WHEN c.target = {} THEN c.pk END)", literal(target));
        let same = same_key(&table.key, &table.columns, &own);
        let mine = format!("c.run = {} AND c.target = {}", literal(run), literal(target));
        // Without figures of them the server may choose a way that takes for ever.
        self.watched(&format!("ANALYZE {}.{}", ident(&table.schema), ident(&table.name)), reporter)?;
        self.watched(&format!("ANALYZE {SCHEMA}.came"), reporter)?;
        let named_by = self.named_by(target)?;
        let unnamed: String = named_by.iter().map(|it| format!(" AND NOT {}", it.condition)).collect();
        if table.key.is_empty() {
            return self.take_back_keyless((run, target), table, &unnamed, reporter);
        }
        let settable = table.columns.iter().filter(|it| !it.generated && !table.key.contains(&it.name));
        let set: Vec<_> = settable
            .map(|it| format!("{} = (c.before ->> {})::{}", ident(&it.name), literal(&it.name), loose(&it.base)))
            .collect();
        self.session.run("TRUNCATE pg_temp.liftlock_trouble")?;
        self.watched(
            &format!(
                "CREATE TEMP TABLE liftlock_back ON COMMIT DROP AS SELECT c.at AS n, c.act, false AS ok \
                 FROM {SCHEMA}.came c WHERE {mine} AND c.act <> 'found'"
            ),
            reporter,
        )?;
        let remove = |which: &str| {
            format!(
                "WITH gone AS (DELETE FROM {name} liftlock_t USING {SCHEMA}.came c WHERE {mine} AND c.act = 'inserted' \
                 AND {same} AND {MARK} = c.mark AND {which}{unnamed} RETURNING c.at) \
                 UPDATE pg_temp.liftlock_back x SET ok = true FROM gone WHERE gone.at = x.n"
            )
        };
        let restore = |which: &str| {
            if set.is_empty() {
                return "PERFORM 1".to_owned();
            }
            format!(
                "WITH back AS (UPDATE {name} liftlock_t SET {} FROM {SCHEMA}.came c WHERE {mine} AND c.act = 'updated' \
                 AND {same} AND {MARK} = c.mark AND {which} RETURNING c.at) \
                 UPDATE pg_temp.liftlock_back x SET ok = true FROM back WHERE back.at = x.n",
                set.join(", ")
            )
        };
        let block = at_once_or_each(
            &format!("{}; {}", remove("true"), restore("true")),
            "SELECT x.n FROM pg_temp.liftlock_back x ORDER BY x.n DESC",
            &format!("{}; {}", remove("c.at = liftlock_r.n"), restore("c.at = liftlock_r.n")),
            TROUBLE_OF_THE_SERVER,
        );
        let helpers = self.help_looking(&named_by, reporter)?;
        self.watched(&block, reporter)?;
        for index in helpers {
            self.session.run(&format!("DROP INDEX {index}"))?;
        }
        let figures: Figures = self.one_watched(
            "SELECT count(*) FILTER (WHERE ok AND act = 'inserted') AS removed, \
             count(*) FILTER (WHERE ok AND act = 'updated') AS restored FROM pg_temp.liftlock_back",
            reporter,
        )?;
        let whose: String = named_by
            .iter()
            .map(|it| format!("WHEN {} THEN {} ", it.condition, literal(&format!("{} name it", it.name))))
            .collect();
        // What is gone already needs nothing more.
        let stay: Vec<Trouble> = self.session.rows_watched(
            &format!(
                "SELECT x.n, (SELECT string_agg(e.value, ', ') FROM jsonb_each_text(c.pk) e) AS col, \
                 coalesce((SELECT min(m.why) FROM pg_temp.liftlock_trouble m WHERE m.n = x.n), \
                 CASE WHEN {MARK} IS DISTINCT FROM c.mark THEN 'it was changed since' {whose}ELSE 'it could not be taken back' END) \
                 AS why FROM pg_temp.liftlock_back x JOIN {SCHEMA}.came c ON c.at = x.n JOIN {name} liftlock_t ON {same} \
                 WHERE NOT x.ok ORDER BY x.n"
            ),
            LONGEST,
            &mut || reporter.check(),
        )?;
        // What is gone, or was only found, needs no record any more.
        self.watched(
            &format!(
                "DELETE FROM {SCHEMA}.came c WHERE {mine} AND (c.act = 'found' OR c.at IN (SELECT n FROM pg_temp.liftlock_back \
                 WHERE ok) OR NOT EXISTS (SELECT 1 FROM {name} liftlock_t WHERE {same}))"
            ),
            reporter,
        )?;
        self.session.run("DROP TABLE pg_temp.liftlock_back")?;
        let staying = stay.len() as u64;
        let said = |it: Trouble| format!("{}: {}", it.col.unwrap_or_default(), it.why);
        Ok(TakenBack {
            table: if table.schema == "public" { table.name.clone() } else { target.to_owned() },
            removed: figures.removed,
            restored: figures.restored,
            stay: stay.into_iter().take(TOLD).map(said).collect(),
            staying,
        })
    }
}
