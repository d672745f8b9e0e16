//! One backup as the window shows it: what is in it, how it was tested, where its copies are and why it stays.

use serde_json::Value;

use crate::backups::{self, Backup, held, judge};
use crate::engine::Engine;
use crate::error::Result;
use crate::stores::foreign::FileTable;
use crate::stores::{Dumped, StoreKind};
use crate::view::ErrorView;
use crate::view::window::{
    BackupCopyView, BackupDetailsView, BackupPartView, BackupTestView, BackupView, PartProvenView,
};

impl Engine {
    /// Everything that is known of a backup without asking anybody: nothing of its dumps is read.
    ///
    /// # Errors
    /// `unknown_backup`; the folder is no backup.
    pub fn backup_details(&self, id: &str) -> Result<BackupDetailsView> {
        let backup = backups::open(&self.backup_folder(id)?)?;
        let name = &backup.manifest.installation;
        let (all, _) = backups::of(&self.home, name, self.clock.now())?;
        let at = all.iter().position(|it| it.id() == backup.id());
        let needed = self.db()?.backups_in_use(name)?;
        let kept = at.and_then(|at| judge(&all, self.keeping_rule().ok()?, &needed).get(at)?.kept);
        let test = backups::trust(&backup)?.map(|it| BackupTestView {
            at: it.at,
            seconds: it.seconds,
            proven: it
                .stores
                .into_iter()
                .map(|it| PartProvenView { store: it.store, how: it.how, seconds: it.seconds })
                .collect(),
            failed: it.failed.as_ref().map(ErrorView::from),
            was_proven_at: it.was_proven_at,
        });
        let line = crate::view::BackupView::of(&backup);
        let copied = self.known_places()?.has(self, name, &line.id)?;
        Ok(BackupDetailsView {
            backup: BackupView { copied, ..BackupView::of(line, &self.title_of(name)) },
            seconds: backup.manifest.seconds,
            liftlock: backup.manifest.liftlock.clone(),
            file: backup.manifest.origin.as_ref().map(|it| it.file.clone()),
            test,
            parts: parts(&backup),
            kept,
            held: at.and_then(|at| held(&all, at, &needed)),
        })
    }

    /// Where copies of a backup lie, a line for each place that was chosen. What is far away is asked, and not read.
    ///
    /// # Errors
    /// `unknown_backup`; those of the state itself.
    pub fn copies_of(&self, id: &str) -> Result<Vec<BackupCopyView>> {
        let backup = backups::open(&self.backup_folder(id)?)?;
        self.places_with(&backup)
    }
}

fn parts(backup: &Backup) -> Vec<BackupPartView> {
    backup.manifest.stores.iter().map(part).collect()
}

fn part(dumped: &Dumped) -> BackupPartView {
    let facts = Value::Object(dumped.facts.clone());
    let text = |at: &str| facts.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let extension = |it: &Value| Some(format!("{} {}", it["name"].as_str()?, it["version"].as_str()?));
    let extensions = facts.pointer("/dump/shape/extensions").and_then(Value::as_array);
    BackupPartView {
        store: dumped.store.clone(),
        kind: dumped.kind,
        file: dumped.file.clone(),
        bytes: dumped.bytes,
        raw_bytes: dumped.raw_bytes,
        sha256: dumped.sha256.clone(),
        seconds: dumped.seconds,
        encrypted: dumped.sealed.is_some(),
        note: dumped.note.clone(),
        server_version: text(if dumped.kind == StoreKind::Sqlite { "/sqlite" } else { "/dump/server_version" }),
        tool_version: text("/dump/tool_version"),
        encoding: text("/dump/shape/encoding").or_else(|| text("/encoding")),
        extensions: extensions.into_iter().flatten().filter_map(extension).collect(),
        tables: dumped.counts.iter().map(|(name, rows)| FileTable { name: name.clone(), rows: *rows }).collect(),
        globals: dumped.globals(),
    }
}
