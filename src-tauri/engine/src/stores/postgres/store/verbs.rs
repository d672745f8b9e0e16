//! The verbs of every store, for a PostgreSQL database.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{PostgresStore, field, ours};
use crate::error::{Error, Result};
use crate::model::finding::Finding;
use crate::ports::{Reporter, SignOfWork};
use crate::stores::foreign::FileFound;
use crate::stores::intake::Intake;
use crate::stores::look::{LookMark, TableLook};
use crate::stores::postgres::aside::{self, AsideState as Stands, Strategy};
use crate::stores::postgres::dump::{self, Dump};
use crate::stores::postgres::intake::PostgresIntake;
use crate::stores::postgres::restore::{self, restore_live};
use crate::stores::postgres::scratch::{Mould, Scratch};
use crate::stores::postgres::tables::PostgresTables;
use crate::stores::postgres::work::Work;
use crate::stores::postgres::{empty, facts, foreign, globals, inventory, lease, look, moved};
use crate::stores::tables::{Snapshot, Source};
use crate::stores::{
    Aside, AsideState, Counts, DataStore, Dumped, Grade, Place, Proof, Sandbox, ServerLease, StoreKind,
};

impl Source for PostgresStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn moment(&self, _reporter: &dyn Reporter) -> Result<Value> {
        Ok(inventory::next_transaction(self.client()?, self.database())?.into())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        Ok(Some(Box::new(PostgresTables::open(self.client()?, self.database())?)))
    }

    fn identity(&self) -> Result<Option<String>> {
        empty::identity(self.client()?, self.database()).map(Some)
    }
}

impl DataStore for PostgresStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Postgres
    }

    fn size(&self, _reporter: &dyn Reporter) -> Result<u64> {
        match facts::facts(self.client()?, self.database()) {
            // While it is set aside nobody comes in, and its size is known all the same.
            Err(error) if error.class == "database_closed" => {
                let mut session = self.client()?.connect_beside(self.database())?;
                facts::size_of(&mut session, self.database())
            }
            answer => Ok(answer?.size.unwrap_or(0)),
        }
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        inventory::count(self.client()?, self.database(), reporter)
    }

    fn changed_since(&self, moment: &Value, reporter: &dyn Reporter) -> Result<bool> {
        let Some(transaction) = moment.as_u64().and_then(|it| u32::try_from(it).ok()) else { return Ok(true) };
        inventory::written_since(self.client()?, self.database(), transaction, reporter)
    }

    fn intake(&self) -> Result<Option<Box<dyn Intake>>> {
        Ok(Some(Box::new(PostgresIntake::open(self.client()?, self.database())?)))
    }
    fn obstacles(&self, _reporter: &dyn Reporter) -> Result<Vec<Finding>> {
        let facts = facts::facts(self.client()?, self.database())?;
        let rights = match &self.admin {
            Some(_) => facts::facts(self.admin()?, self.database())?,
            None => facts.clone(),
        };
        let mut found: Vec<Finding> = facts::obstacles(&rights).iter().map(Finding::stop).collect();
        // The kind of somebody else's session is hidden from an ordinary role.
        let is_program = |kind: &str| kind.is_empty() || kind == "client backend";
        let strangers: Vec<_> =
            facts.sessions.iter().filter(|it| !self.may_end(it) && !it.is_ours() && is_program(&it.kind)).collect();
        if let Some(stranger) = strangers.first() {
            found.push(Finding::stop(
                &Error::refused(
                    "foreign_sessions",
                    format!(
                        "Another program is connected to the database {}: {} of {}.",
                        self.database(),
                        stranger.application,
                        stranger.user
                    ),
                )
                .remedy("Close this program, then try again. Liftlock does not end the sessions of others."),
            ));
        }
        Ok(found)
    }

    fn hold_lease(&self) -> Result<Option<Box<dyn ServerLease>>> {
        let client = self.client()?;
        // From beside: a worker that goes on finds the database closed.
        let mut session = client.connect_beside(self.database())?;
        let identifier = facts::system_identifier(&mut session)?;
        let key = lease::key_of(&identifier, self.database());
        Ok(Some(Box::new(lease::hold_lease(client, self.database(), key)?)))
    }

    fn sweep(&self, scratch: &Path, _reporter: &dyn Reporter) -> Result<()> {
        let folder = scratch.join(&self.name);
        if let Some(inside) = &self.inside {
            let docker = inside.project.docker().clone();
            let mould = Mould { docker, image: String::new(), host: String::new(), port: 0 };
            mould.sweep(&folder)?;
        }
        // A server that does not answer is no reason to leave the rest.
        if let Err(error) = self.admin().and_then(|it| look::clear_begun(it, self.database())) {
            tracing::warn!(class = %error.class, "{}", error.message);
        }
        Scratch::sweep(&folder)
    }

    fn folder(&self) -> Option<PathBuf> {
        let facts = facts::facts(self.admin().ok()?, self.database()).ok()?;
        if let Some(inside) = &self.inside {
            let data = facts.settings.data_directory?;
            return inside.project.running(&inside.service).ok()?.outside(&data).filter(|it| it.exists());
        }
        facts.settings.data_directory.filter(|it| facts.place != facts::Place::Elsewhere && it.exists())
    }

    fn dump(&self, into: &Path, reporter: &dyn Reporter) -> Result<Dumped> {
        let file = format!("{}.dump.gz", self.name);
        let dump = dump::dump(self.client()?, self.database(), &into.join(&file), dump::Options::default(), reporter)?;
        let mut dumped = self.described(file, dump)?;
        if self.globals {
            // As the application's own role: without passwords, everybody may see them.
            let name = format!("{}.globals.sql", self.name);
            let kept = globals::write(self.client()?, self.database(), into, &name, reporter)?;
            let value = serde_json::to_value(kept)
                .map_err(|cause| Error::bug("manifest", "A dump could not be described.").because(&cause))?;
            dumped.facts.insert("globals".to_owned(), value);
        }
        Ok(dumped)
    }

    fn look_into(&self, file: &Path, reporter: &dyn Reporter) -> Result<FileFound> {
        foreign::look(file, self.client()?.tools(), self.runner.as_ref(), reporter).map(|it| it.found)
    }

    fn dump_of_file(
        &self,
        file: &Path,
        may_run: bool,
        (into, scratch): (&Path, &Path),
        reporter: &dyn Reporter,
    ) -> Result<(Dumped, FileFound)> {
        let staged = foreign::Staged::copy(file, scratch, reporter)?;
        let facts = facts::facts(self.client()?, self.database())?;
        let like = self.like()?;
        let scratch = self.scratch_server(scratch)?;
        let create = |name: &str, owner: &str| like.create(name, Some(owner), None);
        let context = foreign::Context { facts: &facts, create: &create, scratch: &scratch, may_run };
        let (owner, looked) = foreign::bring(&staged, &context, reporter)?;
        let file = format!("{}.dump.gz", self.name);
        let dump = dump::dump(&owner, self.database(), &into.join(&file), dump::Options::default(), reporter)?;
        scratch.stop()?;
        Ok((self.described(file, dump)?, looked.found))
    }

    fn look_beside(
        &self,
        dumped: &Dumped,
        from: &Path,
        (mark, name): (&LookMark, &str),
        reporter: &dyn Reporter,
    ) -> Result<TableLook> {
        let name = format!("{}__{name}", look::short(self.database()));
        let dump: Dump = field(&dumped.facts, "dump")?;
        dump.expect_not_newer_than(self.admin()?.tools().major)?;
        let rows = dumped.lying_in(&mark.table).values().sum();
        let bytes = look::size(self.admin()?, self.database(), &mark.table, rows, dump.unfolds_to())?;
        self.expect_disk(bytes, "the table that is looked at")?;
        let archive = from.join(&dumped.file);
        let made = look::make(self.admin()?, (self.database(), &name), mark, (&archive, dumped), reporter)?;
        Ok(self.reached(made))
    }

    fn looks(&self) -> Result<Vec<TableLook>> {
        Ok(look::list(self.admin()?, self.database())?.into_iter().map(|it| self.reached(it)).collect())
    }

    fn read_through(&self, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        let dump: Dump = field(&dumped.facts, "dump")?;
        let client = self.client()?;
        dump.expect_not_newer_than(client.tools().major)?;
        restore::read_through(client, &from.join(&dumped.file), &dump.sha256, reporter)
    }

    fn prove(&self, dumped: &Dumped, from: &Path, scratch: &Path, reporter: &dyn Reporter) -> Result<Proof> {
        let begun = std::time::Instant::now();
        // Restoring compares everything with what was dumped.
        self.restore_on_the_side(dumped, from, scratch, false, reporter)?.scratch.stop()?;
        Ok(Proof {
            store: self.name.clone(),
            grade: Grade::Proven,
            how: "Restored whole into a private server; rows, sequences, constraints, indexes and extensions agree."
                .to_owned(),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    fn sandbox(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        reporter: &dyn Reporter,
    ) -> Result<Box<dyn Sandbox>> {
        Ok(Box::new(self.restore_on_the_side(dumped, from, scratch, true, reporter)?))
    }

    fn plan_aside(&self, id: &str) -> Result<Aside> {
        let aside = aside::Aside::plan(self.admin()?, self.database(), id)?;
        serde_json::to_value(aside)
            .map(Aside)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
    }

    fn observe(&self, aside: &Aside) -> Result<AsideState> {
        Ok(match aside::observe(self.admin()?, &ours(aside)?)? {
            Stands::Untouched => AsideState::NotStarted,
            Stands::Closed | Stands::PartCopied { .. } => AsideState::Copying,
            Stands::Copied { .. } => AsideState::Copied,
            Stands::Swapped { .. } => AsideState::Swapped,
            Stands::PutBack { .. } => AsideState::PutBack,
            Stands::Unknown(why) => AsideState::Unknown(why),
        })
    }

    fn copy_next(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<()> {
        let aside = ours(aside)?;
        aside::close(self.admin()?, &aside, &|other| self.may_end(other))?;
        aside::copy(self.admin()?, &aside, Strategy::Fitting, reporter).map(|_| ())
    }

    fn expect_room_for(&self, dumped: &Dumped, from: &Path) -> Result<()> {
        let dump: Dump = field(&dumped.facts, "dump")?;
        dump.expect_not_newer_than(self.admin()?.tools().major)?;
        let missing = globals::missing(self.admin()?, self.database(), &dump)?;
        if !missing.is_empty() {
            let kept = dumped.globals().map(|it| from.join(it.file));
            return Err(globals::refusal(&missing, kept.as_deref()));
        }
        self.expect_disk(dump.unfolds_to(), "the database that is restored")
    }

    fn restore_next(&self, aside: &Aside, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        let dump: Dump = field(&dumped.facts, "dump")?;
        let client = self.admin()?;
        let path = from.join(&dumped.file);
        aside::restore_beside(client, &ours(aside)?, &mut |database| {
            restore_live(client, database, &path, &dump, reporter)
        })
        .map(|_| ())
    }

    fn swap(&self, aside: &Aside) -> Result<()> {
        // What a migration left in the copy goes too, whatever it calls itself.
        aside::swap(self.admin()?, &[ours(aside)?], &|other| other.user == self.endpoint.user)
    }

    fn put_back(&self, aside: &Aside) -> Result<()> {
        // Whoever looks into a copy that failed must not keep the original from coming back.
        aside::put_back(self.admin()?, &[ours(aside)?], &|_| true)
    }

    fn next_counts(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<Counts> {
        let aside = ours(aside)?;
        inventory::count(self.client()?, self.next_name(&aside)?, reporter)
    }

    fn next_place(&self, aside: &Aside) -> Result<Place> {
        let aside = ours(aside)?;
        Ok(self.place_of(self.next_name(&aside)?))
    }

    fn place(&self) -> Result<Place> {
        Ok(self.place_of(self.database()))
    }

    fn sign_of_work(&self, aside: &Aside) -> Option<Box<dyn SignOfWork>> {
        let aside = ours(aside).ok()?;
        let database = self.next_name(&aside).unwrap_or(&aside.name).to_owned();
        Some(Box::new(Work::new(self.admin().ok()?.clone(), &database)))
    }

    fn kept_places(&self, aside: &Aside) -> (String, String) {
        match ours(aside) {
            Ok(it) => (format!("database {}", it.aside_name), format!("database {}", it.failed_name)),
            Err(_) => (String::new(), String::new()),
        }
    }

    fn observe_by_name(&self, id: &str) -> Result<AsideState> {
        aside::observe_by_name(self.admin()?, self.database(), id)
    }

    fn discard(&self, aside: &Aside) -> Result<()> {
        aside::discard(self.admin()?, &ours(aside)?)
    }

    fn make_empty(&self, name: &str, mark: &str) -> Result<()> {
        empty::make(self.admin()?, self.database(), name, mark)
    }

    fn remove_empty(&self, name: &str, mark: &str) -> Result<()> {
        empty::remove(self.admin()?, self.database(), name, mark)
    }

    fn remove_for_good(&self, identity: &str) -> Result<()> {
        empty::drop_for_good(self.admin()?, self.database(), identity)
    }

    fn set_read_only(&self, on: bool) -> Result<bool> {
        empty::read_only(self.admin()?, self.database(), on).map(|()| true)
    }

    fn neighbours(&self) -> Result<Vec<String>> {
        moved::neighbours(self.admin()?, self.database())
    }

    fn restore_elsewhere(
        &self,
        container: &str,
        dumped: &Dumped,
        from: &Path,
        reporter: &dyn Reporter,
    ) -> Result<Counts> {
        let dump: Dump = field(&dumped.facts, "dump")?;
        let endpoint = self.admin.as_ref().unwrap_or(&self.endpoint);
        let there = self.open_in(endpoint, container)?;
        dump.expect_not_newer_than(there.tools().major)?;
        let archive = from.join(&dumped.file);
        moved::to(self.admin()?, &there, self.database(), reporter, &mut |client| {
            restore_live(client, self.database(), &archive, &dump, reporter)
        })
    }

    fn kept_bytes(&self, aside: &Aside, failed: bool) -> Option<u64> {
        let aside = ours(aside).ok()?;
        let mut session = self.admin().ok()?.connect_beside(self.database()).ok()?;
        facts::size_of(&mut session, Self::kept_name(&aside, failed)).ok().filter(|it| *it > 0)
    }
}

impl PostgresStore {
    fn kept_name(aside: &aside::Aside, failed: bool) -> &str {
        if failed { &aside.failed_name } else { &aside.aside_name }
    }
}
