//! The statements that bring the rows of one entity in, as text. Names and values of an export come in through
//! [`ident`] and [`literal`] only, and a block is quoted by a word that nothing in it holds.
//!
//! `s` is a row laid down, `x` the same with its values worked out, `liftlock_t` a row of the table (a table may have
//! columns called `s`, `x` or `t`).

use std::fmt::Write as _;

use super::SCHEMA;
use crate::error::{Error, Result};
use crate::stores::intake::{Assignment, Column, Entity, Field, Run, Value};
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::tables::Holds;

/// The parts of the statements for one entity.
pub(super) struct Parts<'e> {
    pub(super) entity: &'e Entity,
    /// What comes in, with the values that the database makes for its key.
    pub(super) columns: Vec<Assignment>,
    stage: String,
    pub(super) target: String,
    row_key: String,
    pub(super) source: String,
}

impl<'e> Parts<'e> {
    pub(super) fn of(entity: &'e Entity, source: &str) -> Result<Self> {
        let table = &entity.table;
        let mut columns = entity.columns.clone();
        for name in table.key.iter().filter(|name| !entity.columns.iter().any(|it| it.to.name == **name)) {
            let column = table.columns.iter().find(|it| it.name == *name);
            let made = column.and_then(|it| Some((it, it.made.clone()?)));
            let Some((column, made)) = made else {
                return Err(Error::refused(
                    "key_without_value",
                    format!("Nothing comes into “{name}” of {}, which tells its rows apart.", table.name),
                )
                .remedy("Say in the mapping where it comes from."));
            };
            columns.push(Assignment {
                to: column.clone(),
                label: name.clone(),
                value: Value::Constant(made),
                only_new: false,
            });
        }
        let row_key = match entity.key.as_slice() {
            [] => "s.k".to_owned(),
            [one] => format!("coalesce(s.c{one}, s.k)"),
            // What has no whole key was called by what it holds.
            many => {
                let texts: Vec<_> = many.iter().map(|it| format!("s.c{it}")).collect();
                format!("coalesce(s.k, jsonb_build_array({})::text)", texts.join(", "))
            }
        };
        Ok(Self {
            entity,
            columns,
            stage: format!("{SCHEMA}.s_{}", entity.staged),
            target: format!("{}.{}", ident(&table.schema), ident(&table.name)),
            row_key,
            source: literal(source),
        })
    }

    pub(super) fn is_keyless(&self) -> bool {
        self.entity.table.key.is_empty()
    }

    /// How many of the columns are those of the mapping.
    pub(super) fn own(&self) -> usize {
        self.entity.columns.len()
    }

    /// The value of a column, in terms of a row laid down.
    fn expression(&self, at: usize) -> String {
        let it = &self.columns[at];
        // What the database makes is its own expression already.
        match &it.value {
            Value::Constant(made) if at >= self.own() => made.clone(),
            value => self.valued(value, "s", &it.to.base),
        }
    }

    fn valued(&self, value: &Value, alias: &str, base: &str) -> String {
        let base = loose(base);
        match value {
            Value::Plain { at, divide_by: None } => format!("{alias}.c{at}::{base}"),
            Value::Plain { at, divide_by: Some(by) } => format!("({alias}.c{at}::numeric / {by})::{base}"),
            Value::Refers { at, entity } => {
                format!("(SELECT c.new_id FROM {})::{base}", self.came(entity, &format!("{alias}.c{at}")))
            }
            Value::Constant(text) => format!("{}::{base}", literal(text)),
            Value::Gather { from, by, key, fields } => {
                // A function takes a hundred arguments at most.
                let parts: Vec<String> = fields.chunks(40).map(|some| self.object(some)).collect();
                let object = if parts.is_empty() { "'{}'::jsonb".to_owned() } else { parts.join(" || ") };
                format!(
                    "(SELECT coalesce(jsonb_agg({object} ORDER BY g.n), '[]') FROM {SCHEMA}.s_{from} g \
                     WHERE g.c{by} = {alias}.c{key})::{base}"
                )
            }
        }
    }

    fn object(&self, fields: &[Field]) -> String {
        let members: Vec<_> = fields.iter().map(|it| format!("{}, {}", literal(&it.name), self.member(it))).collect();
        format!("jsonb_build_object({})", members.join(", "))
    }

    /// A value inside a JSON object, of the kind that it was.
    fn member(&self, field: &Field) -> String {
        let divided = matches!(field.value, Value::Plain { divide_by: Some(_), .. });
        let base = match (&field.value, field.holds) {
            (Value::Refers { .. }, _) => "text",
            _ if divided => "numeric",
            (_, Holds::Integer | Holds::Number) => "numeric",
            (_, Holds::Boolean) => "boolean",
            (_, Holds::Json) => "jsonb",
            (_, Holds::Text) => "text",
        };
        let told = self.valued(&field.value, "g", base);
        if divided { format!("trim_scale({told})") } else { told }
    }

    /// What is on record for the row of `entity` that was called `key`.
    fn came(&self, entity: &str, key: &str) -> String {
        format!(
            "{SCHEMA}.came c WHERE c.source = {} AND c.entity = {} AND c.row_key = {key}",
            self.source,
            literal(entity)
        )
    }

    /// That a row of the table is the one of `x`, by the primary key.
    fn same_row(&self) -> String {
        let same = self.entity.table.key.iter().filter_map(|name| {
            let at = self.columns.iter().position(|it| it.to.name == *name)?;
            Some(format!("liftlock_t.{} = x.v{at}", ident(name)))
        });
        same.collect::<Vec<_>>().join(" AND ")
    }

    pub(super) fn pk(&self) -> String {
        as_texts(&self.entity.table.key)
    }

    /// That a row of the table is the one that was found.
    pub(super) fn is_found(&self, document: &str) -> String {
        same_key(&self.entity.table.key, &self.entity.table.columns, document)
    }

    /// Everything, in order.
    pub(super) fn statements(&self, run: &Run) -> Vec<String> {
        // Tables that were filled a moment ago: without figures of them the server may choose a way that takes for ever.
        let measure = "ANALYZE pg_temp.liftlock_x".to_owned();
        // One that was emptied and filled again is believed to be empty, until the server comes to look.
        let measure_target = format!("ANALYZE {}", self.target);
        let mut all = vec![
            self.create(),
            Self::create_spots(),
            self.fill(),
            measure,
            measure_target.clone(),
            self.twice("x.k", "its key is the one of an earlier row"),
        ];
        all.push(self.refuse());
        if !self.entity.natural_key.is_empty() {
            all.push(self.find());
        }
        if !self.is_keyless() {
            all.extend(self.decide());
            let taken = "CASE WHEN x.takes THEN x.found END";
            all.push(self.twice(taken, "an earlier row is the same one that is there already"));
        }
        all.push(if self.is_keyless() { self.insert_keyless() } else { self.insert() });
        all.push(measure_target);
        if !self.is_keyless() {
            all.push(self.update());
        }
        let stays = "found IS NOT NULL AND why IS NULL AND takes IS NOT TRUE";
        all.push(format!("UPDATE pg_temp.liftlock_x SET ok = true WHERE {stays}"));
        all.extend(if self.is_keyless() { vec![self.record_keyless(run)] } else { self.record(run) });
        all.push(format!("ANALYZE {SCHEMA}.came"));
        all.extend(self.catch_up());
        all
    }

    fn create(&self) -> String {
        let columns: String = self
            .columns
            .iter()
            .enumerate()
            .fold(String::new(), |all, (at, it)| all + &format!("v{at} {}, ", loose(&it.to.base)));
        format!(
            "CREATE TEMP TABLE liftlock_x (n bigint PRIMARY KEY, k text, {columns}found jsonb, before jsonb, why text, \
             takes boolean, asked boolean NOT NULL DEFAULT false, ok boolean NOT NULL DEFAULT false) ON COMMIT DROP"
        )
    }

    /// Works out every value; a row whose value cannot be read is trouble, with the column.
    fn fill(&self) -> String {
        let names: String = (0..self.columns.len()).map(|at| format!(", v{at}")).collect();
        let values: String = (0..self.columns.len()).map(|at| format!(", {}", self.expression(at))).collect();
        let is_new = format!("NOT EXISTS (SELECT 1 FROM {})", self.came(&self.entity.entity, &self.row_key));
        let insert = |which: &str| {
            format!(
                "INSERT INTO pg_temp.liftlock_x (n, k{names}) SELECT s.n, {}{values} FROM {} s WHERE {which}",
                self.row_key, self.stage
            )
        };
        let mut which = String::new();
        for (at, it) in self.columns.iter().enumerate().take(self.own()) {
            let _ = write!(
                which,
                "IF liftlock_c IS NULL THEN BEGIN PERFORM {} FROM {} s WHERE s.n = liftlock_r.n; \
                 EXCEPTION WHEN OTHERS THEN liftlock_c := {}; END; END IF; ",
                self.expression(at),
                self.stage,
                literal(&it.label)
            );
        }
        let trouble = format!(
            "liftlock_m := SQLERRM; liftlock_c := NULL; {which} \
             INSERT INTO pg_temp.liftlock_trouble VALUES (liftlock_r.n, liftlock_c, liftlock_m);"
        );
        at_once_or_each(
            &insert(&is_new),
            &format!("SELECT s.n FROM {} s WHERE {is_new} ORDER BY s.n", self.stage),
            &insert("s.n = liftlock_r.n"),
            &trouble,
        )
    }

    /// A row that says the same in `what` as one before it.
    fn twice(&self, what: &str, why: &str) -> String {
        let why = literal(why);
        format!(
            "WITH w AS (SELECT x.n, row_number() OVER (PARTITION BY {what} ORDER BY x.n) AS nth FROM pg_temp.liftlock_x x \
             WHERE {what} IS NOT NULL AND x.why IS NULL), u AS (UPDATE pg_temp.liftlock_x x SET why = {why} FROM w \
             WHERE w.n = x.n AND w.nth > 1 RETURNING x.n) INSERT INTO pg_temp.liftlock_trouble SELECT u.n, NULL, {why} FROM u"
        )
    }

    /// What would come in altered, or names something that is not there.
    fn refuse(&self) -> String {
        let mut cases = String::new();
        for (at, it) in self.columns.iter().enumerate().take(self.own()) {
            let label = literal(&it.label);
            match &it.value {
                Value::Plain { .. } | Value::Constant(_) if it.to.data_type != it.to.base => {
                    let why = literal(&format!(" does not fit {} without being altered", it.to.data_type));
                    let _ = write!(
                        cases,
                        " WHEN {} THEN {label} || ': ' || left(x.v{at}::text, 200) || {why}",
                        differs(&format!("x.v{at}"), &format!("x.v{at}::{}", it.to.data_type), &it.to.base)
                    );
                }
                Value::Refers { at: from, entity } => {
                    let why = literal(&format!(" of {entity} did not come in"));
                    let _ = write!(
                        cases,
                        " WHEN s.c{from} IS NOT NULL AND x.v{at} IS NULL THEN {label} || ': ' || s.c{from} || {why}"
                    );
                }
                Value::Gather { from, by, key, fields } => {
                    for field in fields {
                        let Value::Refers { at: inner, entity } = &field.value else { continue };
                        let why = literal(&format!("one of these names something of {entity} that did not come in"));
                        let _ = write!(
                            cases,
                            " WHEN EXISTS (SELECT 1 FROM {SCHEMA}.s_{from} g WHERE g.c{by} = s.c{key} AND g.c{inner} IS NOT NULL \
                             AND NOT EXISTS (SELECT 1 FROM {})) THEN {label} || ': ' || {why}",
                            self.came(entity, &format!("g.c{inner}"))
                        );
                    }
                }
                Value::Plain { .. } | Value::Constant(_) => {}
            }
        }
        if cases.is_empty() {
            return "SELECT 1".to_owned();
        }
        let refuse = |which: &str| {
            format!(
                "WITH w AS (SELECT x.n, CASE{cases} END AS why FROM pg_temp.liftlock_x x JOIN {} s ON s.n = x.n \
                 WHERE x.why IS NULL AND {which}), u AS (UPDATE pg_temp.liftlock_x x SET why = w.why FROM w \
                 WHERE w.n = x.n AND w.why IS NOT NULL RETURNING x.n, x.why) \
                 INSERT INTO pg_temp.liftlock_trouble SELECT u.n, NULL, u.why FROM u",
                self.stage
            )
        };
        at_once_or_each(
            &refuse("true"),
            "SELECT x.n FROM pg_temp.liftlock_x x WHERE x.why IS NULL ORDER BY x.n",
            &refuse("x.n = liftlock_r.n"),
            "liftlock_m := SQLERRM; UPDATE pg_temp.liftlock_x x SET why = liftlock_m WHERE x.n = liftlock_r.n; \
             INSERT INTO pg_temp.liftlock_trouble VALUES (liftlock_r.n, NULL, liftlock_m);",
        )
    }

    fn insert(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|it| ident(&it.to.name)).collect();
        let values: Vec<_> = (0..self.columns.len()).map(|at| format!("x.v{at}")).collect();
        let insert = |which: &str| {
            format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_temp.liftlock_x x WHERE {which}",
                self.target,
                names.join(", "),
                values.join(", ")
            )
        };
        let is_meant = "x.found IS NULL AND x.why IS NULL";
        at_once_or_each(
            &format!("{} ORDER BY x.n; UPDATE pg_temp.liftlock_x x SET ok = true WHERE {is_meant}", insert(is_meant)),
            &format!("SELECT x.n FROM pg_temp.liftlock_x x WHERE {is_meant} ORDER BY x.n"),
            &format!(
                "{}; UPDATE pg_temp.liftlock_x x SET ok = true WHERE x.n = liftlock_r.n",
                insert("x.n = liftlock_r.n")
            ),
            TROUBLE_OF_THE_SERVER,
        )
    }

    /// Writes down what came, in the same transaction.
    fn record(&self, run: &Run) -> Vec<String> {
        let new_id = match self.entity.table.key.as_slice() {
            [one] => format!("liftlock_t.{}::text", ident(one)),
            _ => "NULL".to_owned(),
        };
        let target = literal(&format!("{}.{}", self.entity.table.schema, self.entity.table.name));
        let write = |same: &str, act: &str, which: &str| {
            format!(
                "INSERT INTO {SCHEMA}.came (source, run, entity, row_key, target, pk, new_id, act, before, mark) \
                 SELECT {}, {}, {}, x.k, {target}, {}, {new_id}, {act}, x.before, {MARK} \
                 FROM pg_temp.liftlock_x x JOIN {} liftlock_t ON {same} WHERE x.ok AND {which} ORDER BY x.n",
                self.source,
                literal(&run.id),
                literal(&self.entity.entity),
                self.pk(),
                self.target,
            )
        };
        vec![
            write(&self.same_row(), "'inserted'", "x.found IS NULL"),
            write(
                &self.is_found("x.found"),
                "CASE WHEN x.before IS NULL THEN 'found' ELSE 'updated' END",
                "x.found IS NOT NULL",
            ),
        ]
    }

    /// A counter whose numbers came from outside goes on behind them.
    fn catch_up(&self) -> Option<String> {
        let [key] = self.entity.table.key.as_slice() else { return None };
        let it = self.entity.columns.iter().find(|it| it.to.name == *key)?;
        let sequence = counter(&it.to)?;
        Some(format!(
            "SELECT setval({sequence}, q.v) FROM (SELECT greatest((SELECT max({})::bigint FROM {}), \
             pg_sequence_last_value({sequence})) AS v) q WHERE q.v > 0",
            ident(key),
            self.target
        ))
    }

    /// What became of the rows.
    pub(super) fn figures(&self, run: &Run) -> String {
        format!(
            "SELECT (SELECT count(*) FROM {stage}) AS rows, \
             count(*) FILTER (WHERE x.ok AND x.found IS NULL) AS inserted, \
             count(*) FILTER (WHERE x.ok AND x.found IS NOT NULL AND x.before IS NOT NULL) AS updated, \
             count(*) FILTER (WHERE x.ok AND x.found IS NOT NULL AND x.before IS NULL) AS skipped, \
             (SELECT count(*) FROM {stage} s WHERE NOT EXISTS (SELECT 1 FROM pg_temp.liftlock_x x WHERE x.n = s.n) \
              AND NOT EXISTS (SELECT 1 FROM pg_temp.liftlock_trouble m WHERE m.n = s.n) \
              AND EXISTS (SELECT 1 FROM {came} AND c.run IS DISTINCT FROM {nothing})) AS earlier, \
             count(*) FILTER (WHERE x.asked) AS asked, \
             (SELECT count(DISTINCT n) FROM pg_temp.liftlock_trouble) AS out FROM pg_temp.liftlock_x x",
            stage = self.stage,
            came = self.came(&self.entity.entity, &self.row_key),
            // Of this run or another: it was there before this time.
            nothing = literal(&format!("not {}", run.id)),
        )
    }

    /// How many came in and are another than they should be.
    pub(super) fn altered(&self) -> Option<String> {
        if self.is_keyless() {
            return (!self.columns.is_empty()).then(|| self.altered_keyless());
        }
        let own = self.columns.iter().enumerate().take(self.own());
        let differ: Vec<String> = own
            .map(|(at, it)| differs(&format!("liftlock_t.{}", ident(&it.to.name)), &format!("x.v{at}"), &it.to.base))
            .collect();
        (!differ.is_empty()).then(|| {
            format!(
                "SELECT count(*) AS count FROM pg_temp.liftlock_x x JOIN {} liftlock_t ON {} \
                 WHERE x.ok AND x.found IS NULL AND ({})",
                self.target,
                self.same_row(),
                differ.join(" OR ")
            )
        })
    }
}

/// What a row is known by as a whole: whether it was changed since. `liftlock_t` alone would be a column of that name.
pub(super) const MARK: &str = "md5(ROW(liftlock_t.*)::text)";

pub(super) const TROUBLE_OF_THE_SERVER: &str = "GET STACKED DIAGNOSTICS liftlock_m = MESSAGE_TEXT, liftlock_d = PG_EXCEPTION_DETAIL, \
    liftlock_c = COLUMN_NAME; INSERT INTO pg_temp.liftlock_trouble VALUES (liftlock_r.n, nullif(liftlock_c, ''), \
    concat_ws(' ', liftlock_m || '.', nullif(liftlock_d, '')));";

/// All at once, and where that fails row by row, so that one bad row keeps no other out.
pub(super) fn at_once_or_each(all: &str, rows: &str, one: &str, trouble: &str) -> String {
    let body = format!(
        "DECLARE liftlock_r record; liftlock_c text; liftlock_m text; liftlock_d text; BEGIN BEGIN {all}; \
         EXCEPTION WHEN query_canceled OR insufficient_privilege OR undefined_table OR disk_full OR lock_not_available THEN RAISE; \
         WHEN OTHERS THEN FOR liftlock_r IN {rows} LOOP BEGIN {one}; EXCEPTION WHEN OTHERS THEN {trouble} END; END LOOP; \
         END; END"
    );
    let mut quote = "$liftlock$".to_owned();
    while body.contains(&quote) {
        quote.insert(1, 'x');
    }
    format!("DO {quote} {body} {quote}")
}

/// These columns of a row as a document of texts, which any type comes back from as it was.
pub(super) fn as_texts(names: &[String]) -> String {
    let keys: Vec<_> = names.iter().map(|it| literal(it)).collect();
    let values: Vec<_> = names.iter().map(|it| format!("liftlock_t.{}::text", ident(it))).collect();
    format!("jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[])", keys.join(", "), values.join(", "))
}

/// That the key of a row of the table is the one in a document of texts.
pub(super) fn same_key(key: &[String], columns: &[Column], document: &str) -> String {
    let same: Vec<_> = key
        .iter()
        .map(|name| {
            let base = columns.iter().find(|it| it.name == *name).map_or("text", |it| &it.base);
            format!("liftlock_t.{} = ({document} ->> {})::{}", ident(name), literal(name), loose(base))
        })
        .collect();
    same.join(" AND ")
}

/// That two values differ; by their texts where the type knows no equality.
pub(super) fn differs(one: &str, other: &str, base: &str) -> String {
    let kind = base.trim_end_matches("[]");
    let has_none = matches!(kind, "json" | "xml" | "point" | "box" | "circle" | "polygon" | "path" | "line" | "lseg");
    let text = if has_none { "::text" } else { "" };
    format!("({one}){text} IS DISTINCT FROM ({other}){text}")
}

/// The counter that a column gets its numbers from.
pub(super) fn counter(column: &Column) -> Option<String> {
    column.made.as_ref()?.strip_prefix("nextval(")?.strip_suffix(')').map(ToOwned::to_owned)
}

/// A type that takes any length, where the name without a length means one of one.
pub(super) fn loose(base: &str) -> &str {
    match base {
        "character" => "bpchar",
        "bit" => "varbit",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_never_ended_by_what_is_in_it() {
        let evil = literal("$liftlock$; DROP TABLE customers; DO $xliftlock$");
        let block = at_once_or_each(&format!("SELECT {evil}"), "SELECT 1 AS n", "NULL", "NULL;");
        let quote = block.strip_prefix("DO ").and_then(|it| it.split_once(' ')).map(|it| it.0).unwrap();
        assert_eq!(block.matches(quote).count(), 2, "{block}");
    }
}
