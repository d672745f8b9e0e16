//! One table of a backup, beside the live data, for looking at.

use std::path::Path;

use crate::backups::{self, opened};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::state::lease::Lease;
use crate::stores::StoreKind;
use crate::stores::look::{LookMark, TableLook};
use crate::upgrade::work::this_process;
use crate::view::{BackupTable, BackupTablesView, BackupView};

impl Engine {
    /// The tables of a backup, which can be looked at one by one.
    ///
    /// # Errors
    /// `unknown_backup`; the folder is no backup.
    pub fn backup_tables(&self, path_or_id: &Path) -> Result<BackupTablesView> {
        let backup = backups::open(&self.find_backup(path_or_id)?)?;
        let databases = backup.manifest.stores.iter().filter(|it| it.kind == StoreKind::Postgres);
        let tables = databases.flat_map(|it| {
            let store = it.store.clone();
            it.tables().into_iter().map(move |(table, rows)| BackupTable { store: store.clone(), table, rows })
        });
        Ok(BackupTablesView { tables: tables.collect(), backup: BackupView::of(&backup) })
    }

    /// Restores one table of a backup into a new database beside the live one, which is not touched.
    ///
    /// # Errors
    /// `unknown_backup`, `unknown_table`, `busy`, `look_incomplete`; what the server answered.
    pub fn look_at_table(&self, path_or_id: &Path, table: &str, reporter: &dyn Reporter) -> Result<TableLook> {
        self.must_be_unlocked()?;
        let backup = backups::open(&self.find_backup(path_or_id)?)?;
        let mut db = self.db()?;
        let installation = db.installation(&backup.manifest.installation)?;
        let in_full = if table.contains('.') { table.to_owned() } else { format!("public.{table}") };
        let dumped = backup
            .manifest
            .stores
            .iter()
            .find(|it| it.kind == StoreKind::Postgres && !it.lying_in(&in_full).is_empty())
            .ok_or_else(|| {
                let all = backup.manifest.stores.iter().filter(|it| it.kind == StoreKind::Postgres);
                let names: Vec<String> = all.flat_map(|it| it.tables().into_keys()).take(40).collect();
                Error::refused("unknown_table", format!("The backup has no table {in_full}."))
                    .remedy(format!("It has these: {}.", names.join(", ")))
            })?;
        let holder = this_process(self.clock.as_ref(), "look")?;
        let _lease = Lease::take(&mut db, &self.home, &installation.name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        let store = site.stores.iter().find(|it| it.name() == dumped.store && it.kind() == dumped.kind);
        let store = store.ok_or_else(|| {
            Error::refused("store_unknown", format!("This installation does not know “{}” any more.", dumped.store))
                .remedy("Name this store in the profile as it was when the backup was made, then try again.")
        })?;
        let keys = db.backup_keys()?;
        let readable = opened(&backup, dumped, &keys, &site.scratch, reporter)?;
        let mark = LookMark {
            backup: backup.id(),
            made_at: backup.manifest.made_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            table: in_full,
        };
        let day = backup.manifest.made_at.format("%Y%m%d");
        let name = format!("look_{day}_{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
        store.look_beside(&readable.dumped, &readable.folder, (&mark, &name), reporter)
    }

    /// What of backups lies beside the live data to be looked at.
    ///
    /// # Errors
    /// `unknown_installation`; what a server answered.
    pub fn looks(&self, name: &InstallationName) -> Result<Vec<TableLook>> {
        let site = self.site(&self.db()?.installation(name)?)?;
        let mut all = Vec::new();
        for store in site.stores.iter().filter(|it| it.kind() == StoreKind::Postgres) {
            all.extend(store.looks()?);
        }
        Ok(all)
    }

    /// Removes one of them, known by its mark.
    ///
    /// # Errors
    /// `locked`, `unknown_look`, `busy`; what the server answered.
    pub fn remove_look(&self, name: &InstallationName, database: &str) -> Result<()> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "look")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        for store in site.stores.iter().filter(|it| it.kind() == StoreKind::Postgres) {
            if let Some(found) = store.looks()?.into_iter().find(|it| it.database == database) {
                let mark = LookMark { backup: found.backup, made_at: found.made_at, table: found.table };
                return store.remove_empty(database, &mark.text());
            }
        }
        Err(Error::refused("unknown_look", format!("There is no database {database} that was made to look at."))
            .remedy("`liftlock backup look --list` shows them. Nothing was removed."))
    }
}
