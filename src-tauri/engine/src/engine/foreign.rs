//! Files of other machines: looked into, made a backup, and from then on like any other.

use std::collections::BTreeSet;
use std::path::Path;

use crate::backups::{self, BackupKind};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::pace::Part;
use crate::ports::Reporter;
use crate::site::Site;
use crate::stores::foreign::{FileFound, FileKind};
use crate::stores::{Counts, DataStore, StoreKind};
use crate::view::{BackupView, FileView};

/// What is typed to let a file run that is a program. A fixed word, never a name.
pub const RUN: &str = "RUN";

/// How a file is brought in.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdoptChoice<'c> {
    /// The store that it is for; the only database otherwise.
    pub store: Option<&'c str>,
    /// What was typed, where the file is SQL: [`RUN`].
    pub typed: Option<&'c str>,
    /// Its tables may be others than those of the application.
    pub other_tables: bool,
    /// What it is for, in a person's words.
    pub note: &'c str,
}

/// The share of looking into a file, in that and counting what is here.
const LOOKING: f64 = 0.8;
/// The share of bringing a file in, in that and proving what came of it.
const BRINGING: f64 = 0.6;

impl Engine {
    /// Looks into a file that another machine or a person made, for an installation. Touches nothing.
    ///
    /// # Errors
    /// `unknown_installation`; why the file cannot be brought in.
    pub fn inspect_file(
        &self,
        name: &InstallationName,
        path: &Path,
        store: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<FileView> {
        let installation = self.db()?.installation(name)?;
        let site = self.site(&installation)?;
        let store = the_database(&site, store)?;
        let found = store.look_into(path, &Part::begin(reporter, (0.0, LOOKING), None))?;
        let here = store.counts(&Part::begin(reporter, (LOOKING, 1.0), None));
        if let Err(error) = &here
            && error.class == "cancelled"
        {
            return Err(error.clone());
        }
        let mut findings = compared(&found, here.as_ref().ok(), &site.profile.application.name);
        if let Err(error) = &here {
            let message = format!("What “{}” holds now cannot be counted: {}", store.name(), error.message);
            findings.push(Finding::new(
                Severity::Warning,
                "not_compared",
                message,
                "Look whether the tables are the right ones.",
            ));
        }
        let is_sql = found.kind == FileKind::Sql;
        if is_sql {
            findings.push(Finding::new(
                Severity::Warning,
                "sql_is_a_program",
                "The file is SQL, which is a program: what is written in it runs when it is brought in, on a private \
                 server that is thrown away.",
                format!("Go on only if you trust who made it, and say so with the word {RUN}."),
            ));
        }
        for left_out in &found.left_out {
            findings.push(Finding::new(Severity::Note, "left_out", left_out.clone(), String::new()));
        }
        Ok(FileView {
            installation: name.clone(),
            path: path.display().to_string(),
            store: store.name().to_owned(),
            word: is_sql.then(|| RUN.to_owned()),
            fits: findings.iter().all(|it| it.severity != Severity::Stop),
            found,
            findings,
        })
    }

    /// Makes a backup of such a file and proves it, in this process. It holds the lease meanwhile. What is there now is not
    /// touched; `backup restore` goes to it like to any other.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`, `not_confirmed`, `another_application`; why the file cannot be brought in.
    pub fn adopt_file(
        &self,
        name: &InstallationName,
        path: &Path,
        choice: &AdoptChoice<'_>,
        reporter: &dyn Reporter,
    ) -> Result<BackupView> {
        self.must_be_unlocked()?;
        let path = &std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause))?;
        let may_run = choice.typed.is_some_and(|it| it.trim() == RUN);
        let seen = self.inspect_file(name, path, choice.store, &Part::begin(reporter, (0.0, 0.1), None))?;
        if let Some(stop) = seen.findings.iter().find(|it| it.severity == Severity::Stop)
            && !(stop.class == "another_application" && choice.other_tables)
        {
            return Err(stop.to_error());
        }
        if seen.word.is_some() && !may_run {
            return Err(not_confirmed());
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let note = if choice.note.is_empty() { format!("from the file {file}") } else { choice.note.to_owned() };
        let from = (seen.store.as_str(), path.as_path(), may_run);
        let reporter = &Part::begin(reporter, (0.1, 1.0), None);
        self.make_and_prove(
            name,
            (BackupKind::Manual, &note),
            BRINGING,
            reporter,
            &|request, stores, side, reporter| {
                backups::adopt(request, stores, from, side, self.clock.as_ref(), reporter)
            },
        )
    }
}

fn not_confirmed() -> Error {
    Error::refused("not_confirmed", "The file is SQL, a program, and nobody agreed to run it. Nothing was begun.")
        .remedy(format!(
            "If you trust who made it, say so with the word {RUN}. It runs on a private server that is thrown away."
        ))
}

/// The store of this name, or the only database.
fn the_database<'s>(site: &'s Site, store: Option<&str>) -> Result<&'s dyn DataStore> {
    let mut all = site.stores.iter().filter(|it| match store {
        Some(wanted) => it.name() == wanted,
        None => it.kind() == StoreKind::Postgres,
    });
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.as_ref()),
        (Some(_), Some(_)) => {
            Err(Error::usage("which_store", "The application has several databases, and none was named.")
                .remedy("Name the one that the file is for with --store."))
        }
        (None, _) => {
            Err(Error::refused("no_foreign_files", "The application has no PostgreSQL database of this name.")
                .remedy("A file of another machine can only be brought into a PostgreSQL database."))
        }
    }
}

/// Whether the tables of a file are those of the application.
fn compared(found: &FileFound, here: Option<&Counts>, application: &str) -> Vec<Finding> {
    let theirs: BTreeSet<&str> = found.tables.iter().map(|it| it.name.as_str()).collect();
    if theirs.is_empty() {
        let message = "There is no table in the file.";
        return vec![Finding::new(
            Severity::Stop,
            "no_tables",
            message,
            "Choose a dump that holds the application’s tables and rows.",
        )];
    }
    let Some(here) = here.filter(|it| !it.is_empty()) else { return Vec::new() };
    let missing: Vec<&str> = here.keys().map(String::as_str).filter(|it| !theirs.contains(it)).collect();
    let few = |names: &[&str]| {
        let more = names.len().saturating_sub(5);
        let named = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    };
    if missing.len() * 2 > here.len() {
        let names: Vec<&str> = theirs.into_iter().collect();
        return vec![Finding::new(
            Severity::Stop,
            "another_application",
            format!("The tables in the file are not those of {application}. It holds {}.", few(&names)),
            "Choose another file. If it is of a very different version all the same, say so with --other-tables.",
        )];
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let message = format!("Tables that {application} has now are not in the file: {}.", few(&missing));
    vec![Finding::new(Severity::Warning, "tables_missing", message, "It may be of another version, or only a part.")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::foreign::FileTable;

    fn found(tables: &[&str]) -> FileFound {
        FileFound {
            kind: FileKind::Archive,
            packed: false,
            bytes: 1,
            raw_bytes: 1,
            made_at: None,
            database: None,
            server_version: None,
            tool_version: None,
            tables: tables.iter().map(|it| FileTable { name: (*it).to_owned(), rows: 1 }).collect(),
            extensions: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn the_tables_of_another_application_are_said_before_anything() {
        let here: Counts = ["public.items", "public.orders", "public.lines"].map(|it| (it.to_owned(), 3)).into();
        let classes = |tables: &[&str]| {
            compared(&found(tables), Some(&here), "Shop").into_iter().map(|it| it.class).collect::<Vec<_>>()
        };
        assert_eq!(classes(&["public.items", "public.orders", "public.lines", "public.new"]), Vec::<String>::new());
        assert_eq!(classes(&["public.items", "public.orders"]), ["tables_missing"]);
        assert_eq!(classes(&["public.items"]), ["another_application"]);
        assert_eq!(classes(&["public.posts", "public.users"]), ["another_application"]);
        assert_eq!(classes(&[]), ["no_tables"]);
    }
}
