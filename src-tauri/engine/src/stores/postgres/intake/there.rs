//! Rows that are there already: found by what tells them apart, and what becomes of each.
//!
//! What a person said of one row holds for that row; what the mapping says holds for the others. Where it says that somebody is
//! to be asked, a row that is there as it would come in is no question.

use super::words::{Parts, TROUBLE_OF_THE_SERVER, as_texts, at_once_or_each, differs};
use crate::stores::intake::{Assignment, Duplicates};
use crate::stores::postgres::quote::{ident, literal};

/// Answers that one statement takes.
const AT_ONCE: usize = 1000;
/// Letters that are shown of a value.
const LETTERS: usize = 300;

impl Parts<'_> {
    /// Which rows are there already, by what tells them apart.
    pub(super) fn find(&self) -> String {
        let same: Vec<_> = self
            .entity
            .natural_key
            .iter()
            .filter_map(|name| {
                let at = self.columns.iter().position(|it| it.to.name == *name)?;
                Some(format!("liftlock_t.{} = x.v{at}", ident(name)))
            })
            .collect();
        format!(
            "UPDATE pg_temp.liftlock_x y SET found = f.pk FROM (SELECT DISTINCT ON (x.n) x.n, {} AS pk \
             FROM pg_temp.liftlock_x x JOIN {} liftlock_t ON {} WHERE x.why IS NULL) f WHERE f.n = y.n",
            self.pk(),
            self.target,
            same.join(" AND ")
        )
    }

    /// What becomes of each of them, and which ones a person is to be asked about.
    pub(super) fn decide(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.entity.duplicates == Duplicates::Update {
            all.push("UPDATE pg_temp.liftlock_x x SET takes = true WHERE x.found IS NOT NULL".to_owned());
        }
        let answers: Vec<_> =
            self.entity.answers.iter().map(|(key, takes)| format!("({}, {takes})", literal(key))).collect();
        all.extend(answers.chunks(AT_ONCE).map(|some| {
            format!(
                "UPDATE pg_temp.liftlock_x x SET takes = a.takes FROM (VALUES {}) AS a (k, takes) \
                 WHERE a.k = x.k AND x.found IS NOT NULL",
                some.join(", ")
            )
        }));
        if self.entity.duplicates == Duplicates::Ask && self.settable().next().is_some() {
            all.push(format!(
                "UPDATE pg_temp.liftlock_x x SET asked = true FROM {} liftlock_t WHERE {} AND x.why IS NULL \
                 AND x.takes IS NULL AND ({})",
                self.target,
                self.is_found("x.found"),
                self.differ()
            ));
        }
        all
    }

    /// The first rows that a person is to be asked about, as they are and as they would be.
    pub(super) fn asked(&self, most: usize) -> String {
        let own = || self.columns.iter().enumerate().take(self.own());
        let there = own().map(|(_, it)| match it.only_new {
            true => "NULL".to_owned(),
            false => format!("left(liftlock_t.{}::text, {LETTERS})", ident(&it.to.name)),
        });
        let comes = own().map(|(at, it)| format!("left(x.v{at}::{}::text, {LETTERS})", it.to.data_type));
        format!(
            "SELECT x.n, x.k AS key, ARRAY[{}]::text[] AS there, ARRAY[{}]::text[] AS comes FROM pg_temp.liftlock_x x \
             JOIN {} liftlock_t ON {} WHERE x.asked ORDER BY x.n LIMIT {most}",
            there.collect::<Vec<_>>().join(", "),
            comes.collect::<Vec<_>>().join(", "),
            self.target,
            self.is_found("x.found")
        )
    }

    /// Columns that what is there may get from the export.
    fn settable(&self) -> impl Iterator<Item = (usize, &Assignment)> {
        let own = self.columns.iter().enumerate().take(self.own());
        own.filter(|(_, it)| !it.only_new && !self.entity.table.key.contains(&it.to.name))
    }

    /// That one of them has another value.
    fn differ(&self) -> String {
        let differ = self
            .settable()
            .map(|(at, it)| differs(&format!("liftlock_t.{}", ident(&it.to.name)), &format!("x.v{at}"), &it.to.base));
        differ.collect::<Vec<_>>().join(" OR ")
    }

    /// Gives what is there the values of the export, where they differ.
    pub(super) fn update(&self) -> String {
        let set = self.settable().map(|(at, it)| format!("{} = x.v{at}", ident(&it.to.name))).collect::<Vec<_>>();
        let names: Vec<String> =
            self.entity.table.columns.iter().filter(|it| !it.generated).map(|it| it.name.clone()).collect();
        let update = |which: &str| {
            let done = format!("UPDATE pg_temp.liftlock_x x SET ok = true WHERE {which}");
            if set.is_empty() {
                return done;
            }
            format!(
                "UPDATE pg_temp.liftlock_x x SET before = {before} FROM {target} liftlock_t \
                 WHERE {found} AND {which} AND ({differ}); \
                 UPDATE {target} liftlock_t SET {set} FROM pg_temp.liftlock_x x \
                 WHERE {found} AND {which} AND x.before IS NOT NULL; {done}",
                before = as_texts(&names),
                target = self.target,
                found = self.is_found("x.found"),
                differ = self.differ(),
                set = set.join(", "),
            )
        };
        let is_meant = "x.found IS NOT NULL AND x.why IS NULL AND x.takes";
        at_once_or_each(
            &update(is_meant),
            &format!("SELECT x.n FROM pg_temp.liftlock_x x WHERE {is_meant} ORDER BY x.n"),
            &update("x.n = liftlock_r.n"),
            TROUBLE_OF_THE_SERVER,
        )
    }
}
