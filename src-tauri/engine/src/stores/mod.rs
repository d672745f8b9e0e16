//! What holds the user's data, and the verbs that every kind of it has.
//!
//! A store can be dumped and the dump proven; it can be restored into something *new* beside the live one,
//! and the two can change places and change back. Nothing here ever writes over, or deletes, a live store.
//! Every change of place is planned first as an [`Aside`] with the *identities* of what is moved (inode,
//! object id, never a name alone), goes into the journal, and can then be observed after any interruption.

pub mod beside;
mod conversation;
mod dumped;
pub mod files;
pub mod foreign;
pub mod intake;
pub mod look;
pub mod mysql;
pub mod postgres;
pub mod sqlite;
pub mod sqlserver;
mod stream;
pub mod tables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::dumped::{Dumped, Globals, Grade, Proof, Sealed};

use self::tables::Source;
use crate::error::{Error, Result};
use crate::model::finding::Finding;
use crate::ports::{Reporter, SignOfWork};
use crate::secrets::Secret;

/// Rows by table (`schema.table`), or files by folder for a store of files.
pub type Counts = BTreeMap<String, u64>;

/// The kinds of stores.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A PostgreSQL database.
    Postgres,
    /// A SQLite file.
    Sqlite,
    /// A folder of files.
    Files,
}

impl StoreKind {
    /// The name in profiles, manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
            Self::Files => "files",
        }
    }
}

/// How a store is going to change places: JSON with names and identities, for the journal. Opaque to all but its store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aside(pub serde_json::Value);

/// What the world shows of an [`Aside`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AsideState {
    /// The original is in its place and there is no copy.
    NotStarted,
    /// The original is in its place and a copy is not whole yet.
    Copying,
    /// The original is in its place and a whole copy lies beside it.
    Copied,
    /// Between two places; going on or going back both work.
    Swapping,
    /// The copy is in the place of the original, which lies beside it untouched.
    Swapped,
    /// The original is back in its place, the copy is kept beside it.
    PutBack,
    /// Not what we left, with the reason: nothing may be renamed or removed.
    Unknown(String),
}

/// Where a command finds the data that it is pointed at.
#[derive(Debug, Clone)]
pub enum Place {
    /// A database on a server.
    Postgres {
        /// Host name, or the folder of a socket.
        host: String,
        /// Port.
        port: u16,
        /// Role.
        user: String,
        /// Its password.
        password: Option<Secret>,
        /// The database.
        database: String,
    },
    /// A file or a folder.
    Path(PathBuf),
}

/// The lease that another host would see, held until dropped.
pub trait ServerLease: Send {
    /// Whether it is still ours.
    ///
    /// # Errors
    /// `lease_lost`: whoever lost it stops.
    fn still_held(&mut self) -> Result<()>;
}

/// A dump restored on the side, for a rehearsal; thrown away when dropped.
pub trait Sandbox: Send {
    /// Where it is.
    fn place(&self) -> Place;
    /// Where an *empty* store of the same kind is; a command that is really pointed there must find nothing.
    /// `None` for stores that no migration is pointed at.
    ///
    /// # Errors
    /// It could not be made.
    fn empty_place(&self) -> Result<Option<Place>>;
    /// Rows a table (files a folder) as they are now.
    ///
    /// # Errors
    /// It cannot be read.
    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts>;
    /// The network in which it is alone, and in which a command must run to reach it; `None` where this machine does.
    fn network(&self) -> Option<&str> {
        None
    }
    /// A sign that a command works on it, beside its processor time.
    fn sign_of_work(&self) -> Option<Box<dyn SignOfWork>> {
        None
    }
}

/// One holder of user data, whose tables an export can read where it has any. See the module for its promises.
pub trait DataStore: Source {
    /// Its kind.
    fn kind(&self) -> StoreKind;
    /// How much it holds now, in bytes on disk.
    ///
    /// # Errors
    /// It cannot be reached or read.
    fn size(&self, reporter: &dyn Reporter) -> Result<u64>;
    /// Rows a table (files a folder) as they are now.
    ///
    /// # Errors
    /// It cannot be reached or read.
    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts>;
    /// Whether anything was written since that [`Source::moment`], beside what numbers of rows tell. Yes where it cannot be told.
    ///
    /// # Errors
    /// It cannot be reached or read.
    fn changed_since(&self, _moment: &serde_json::Value, _reporter: &dyn Reporter) -> Result<bool> {
        Ok(true)
    }
    /// What stands in the way of setting it aside, or is worth knowing before.
    ///
    /// # Errors
    /// It cannot be reached or read.
    fn obstacles(&self, _reporter: &dyn Reporter) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    /// Takes the lease that another host would see; held until dropped. `None` for stores of this machine.
    ///
    /// # Errors
    /// `busy` where another host has it.
    fn hold_lease(&self) -> Result<Option<Box<dyn ServerLease>>> {
        Ok(None)
    }
    /// Ends and throws away what a killed worker left below `scratch`.
    ///
    /// # Errors
    /// It cannot be ended.
    fn sweep(&self, _scratch: &Path, _reporter: &dyn Reporter) -> Result<()> {
        Ok(())
    }
    /// A folder on the file system that a copy beside would be written to; `None` where that cannot be seen.
    fn folder(&self) -> Option<PathBuf> {
        None
    }
    /// Writes a consistent dump into the folder `into`, synced, while the application may be up.
    ///
    /// # Errors
    /// What went wrong; a part may then be left in `into`, which the caller throws away.
    fn dump(&self, into: &Path, reporter: &dyn Reporter) -> Result<Dumped>;
    /// Reads `dumped`, which lies in `from`, to its end: decompressed, held against its checksum, listed. Restores nothing
    /// and needs no room.
    ///
    /// # Errors
    /// `archive_damaged`, `backup_unreadable`, `backup_differs`: then it is not readable.
    fn read_through(&self, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()>;
    /// Restores `dumped`, which lies in `from`, whole on the side (below `scratch`), compares, and throws it away.
    ///
    /// # Errors
    /// What does not agree (`backup_differs`, `backup_unreadable`, …): then it is not proven.
    fn prove(&self, dumped: &Dumped, from: &Path, scratch: &Path, reporter: &dyn Reporter) -> Result<Proof>;
    /// Restores `dumped`, which lies in `from`, whole on the side (below `scratch`) and keeps it for a rehearsal.
    ///
    /// # Errors
    /// What does not agree, as for [`DataStore::prove`].
    fn sandbox(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        reporter: &dyn Reporter,
    ) -> Result<Box<dyn Sandbox>>;
    /// Looks at the world and says how the original would be set aside under `id`. Changes nothing.
    ///
    /// # Errors
    /// Why it cannot be (`mount_point`, `permission_denied`, …).
    fn plan_aside(&self, id: &str) -> Result<Aside>;
    /// What stands of it.
    ///
    /// # Errors
    /// It could not be looked at. What was found but not understood is [`AsideState::Unknown`].
    fn observe(&self, aside: &Aside) -> Result<AsideState>;
    /// What stands of the upgrade `id`, told by the names beside the store alone: for when the journal, which knows
    /// identities, is lost. Good enough to refuse by, and never to rename or remove by.
    ///
    /// # Errors
    /// It could not be looked at.
    fn observe_by_name(&self, id: &str) -> Result<AsideState>;
    /// Copies the original, which nobody writes to, to its place beside. Repeatable.
    ///
    /// # Errors
    /// What went wrong; the original is untouched.
    fn copy_next(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<()>;
    /// What the server lacks for `dumped`, which lies in `from`, to be restored to it: found before anything is stopped.
    ///
    /// # Errors
    /// `roles_missing`, `server_older_than_backup`, `no_room`; it cannot be asked.
    fn expect_room_for(&self, _dumped: &Dumped, _from: &Path) -> Result<()> {
        Ok(())
    }
    /// Restores `dumped`, which lies in `from`, to the place beside, instead of a copy of the original. Repeatable.
    ///
    /// # Errors
    /// What went wrong; the original is untouched.
    fn restore_next(&self, aside: &Aside, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()>;
    /// Puts the copy in the place of the original, which is kept aside. Repeatable.
    ///
    /// # Errors
    /// What went wrong; [`DataStore::observe`] tells where it stands.
    fn swap(&self, aside: &Aside) -> Result<()>;
    /// Puts the original back from wherever it stands; what was in its place is kept as failed. Repeatable.
    ///
    /// # Errors
    /// What went wrong; [`DataStore::observe`] tells where it stands.
    fn put_back(&self, aside: &Aside) -> Result<()>;
    /// Rows a table (files a folder) of the copy beside; of what is in place once it was swapped.
    ///
    /// # Errors
    /// It cannot be read.
    fn next_counts(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<Counts>;
    /// Where the copy beside is; the live place once it was swapped.
    ///
    /// # Errors
    /// It cannot be found.
    fn next_place(&self, aside: &Aside) -> Result<Place>;
    /// Where the store itself is.
    ///
    /// # Errors
    /// It cannot be found.
    fn place(&self) -> Result<Place>;
    /// A sign that a command works on the copy beside, or on what is in place once it was swapped.
    fn sign_of_work(&self, _aside: &Aside) -> Option<Box<dyn SignOfWork>> {
        None
    }
    /// Where the set-aside original is, and where a copy that failed is kept: for the receipt and for people.
    fn kept_places(&self, aside: &Aside) -> (String, String);
    /// Removes for good what was kept after an upgrade: the original after a swap, the failed copy after the original was
    /// put back. Known by its identity; what is in place is never touched. Repeatable.
    ///
    /// # Errors
    /// Where things are not as they were left, or what the server or the disk answered.
    fn discard(&self, _aside: &Aside) -> Result<()> {
        Err(Error::bug("no_discard", "This store keeps nothing that could be removed."))
    }
    /// Lists that upgrades made beside it instead of a copy: the short id of each, and where.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn lists(&self) -> Result<Vec<(String, PathBuf)>> {
        Ok(Vec::new())
    }
    /// How much what is kept takes, in bytes: the set-aside original, or the copy that failed. `None` where it cannot be seen.
    fn kept_bytes(&self, _aside: &Aside, _failed: bool) -> Option<u64> {
        None
    }
    /// A way for rows to come into it. `None` for a store that they cannot be brought into.
    ///
    /// # Errors
    /// It cannot be reached.
    fn intake(&self) -> Result<Option<Box<dyn intake::Intake>>> {
        Ok(None)
    }
    /// Makes an empty store of this kind beside it, called `name`, which bears `mark`. Repeatable. Nothing to do for stores
    /// that are made by whoever writes to them first.
    ///
    /// # Errors
    /// `database_taken`, or what the server answered.
    fn make_empty(&self, _name: &str, _mark: &str) -> Result<()> {
        Ok(())
    }
    /// Removes what [`DataStore::make_empty`] made, known by its mark. Repeatable.
    ///
    /// # Errors
    /// `database_taken`, or what the server answered.
    fn remove_empty(&self, _name: &str, _mark: &str) -> Result<()> {
        Ok(())
    }
    /// Removes the store itself, for good, if it is the one with this identity. Repeatable. Only ever asked for by a person
    /// who removes a whole installation.
    ///
    /// # Errors
    /// `store_changed`, or what the server answered.
    fn remove_for_good(&self, _identity: &str) -> Result<()> {
        Ok(())
    }
    /// Lets whoever connects from now on read only, or write again. Whether that can be promised is the answer.
    ///
    /// # Errors
    /// What the server answered.
    fn set_read_only(&self, _on: bool) -> Result<bool> {
        Ok(false)
    }
    /// Looks into a file that somebody else made, without touching anything: what it would bring into a store like this.
    ///
    /// # Errors
    /// Why it cannot be brought in.
    fn look_into(&self, _file: &Path, _reporter: &dyn Reporter) -> Result<foreign::FileFound> {
        Err(no_foreign_files())
    }
    /// Restores such a file on the side (below `scratch`), without any right beyond that, compares what came out of it with
    /// what it promised, and writes a dump of our own of it into the folder `into`. `may_run` where a person agreed to run a
    /// file that is a program.
    ///
    /// # Errors
    /// As [`DataStore::look_into`]; `not_confirmed`, `file_differs`, …
    fn dump_of_file(
        &self,
        _file: &Path,
        _may_run: bool,
        (_into, _scratch): (&Path, &Path),
        _reporter: &dyn Reporter,
    ) -> Result<(Dumped, foreign::FileFound)> {
        Err(no_foreign_files())
    }
    /// Restores one table of `dumped`, which lies in `from`, into a new place beside, whose name ends with `name`. The live
    /// data is not touched.
    ///
    /// # Errors
    /// `look_incomplete`, or what the server answered; then nothing is left of it.
    fn look_beside(
        &self,
        _dumped: &Dumped,
        _from: &Path,
        (_mark, _name): (&look::LookMark, &str),
        _reporter: &dyn Reporter,
    ) -> Result<look::TableLook> {
        Err(no_foreign_files())
    }
    /// What was made by [`DataStore::look_beside`] and is still there; [`DataStore::remove_empty`] removes it.
    ///
    /// # Errors
    /// What the server answered.
    fn looks(&self) -> Result<Vec<look::TableLook>> {
        Ok(Vec::new())
    }
    /// Other data on the same server that is not this store's, by name: it would stay behind if the server were exchanged.
    ///
    /// # Errors
    /// It cannot be asked.
    fn neighbours(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// Restores `dumped`, which lies in `from`, on the empty server of the same kind in a container, with everything that
    /// belongs to it, and compares every row with what is here.
    ///
    /// # Errors
    /// What differs, or what the servers answered; what is here is untouched.
    fn restore_elsewhere(
        &self,
        _container: &str,
        _dumped: &Dumped,
        _from: &Path,
        _reporter: &dyn Reporter,
    ) -> Result<Counts> {
        Err(Error::bug("no_server", "This store has no server that could be exchanged."))
    }
    /// Whether the store changes places at all; one whose old files are never rewritten is only listed.
    fn changes_places(&self) -> bool {
        true
    }
}

fn no_foreign_files() -> Error {
    Error::refused("no_foreign_files", "Files of other machines can only be brought into a PostgreSQL database.")
        .remedy("Name the store that is one.")
}
