//! Earning trust: checksums of everything, then each dump restored whole on the side and compared.

use std::{path::Path, time::Instant};

use crate::backups::{Backup, Opened, PROOF, Trust, damaged, json, open, opened, speaks_of_the_backup};
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::pace::{Part, shares};
use crate::ports::{Clock, Reporter};
use crate::seal::Keys;
use crate::stores::{DataStore, Dumped, Grade, Proof, Sandbox};

/// The share of reading a backup in reading it and restoring it.
const READING: f64 = 0.05;

/// Restores every dump whole on the side (below `scratch`), compares, throws that away, and writes down what was earned.
/// Begins with looking at the folder anew, whatever `backup` remembers. `stores` are those of the installation; each of the
/// backup's must be among them.
///
/// # Errors
/// What does not agree: then it is written down as failed. What merely kept us from looking (`no_room`,
/// `cancelled`, a server that does not start) changes nothing that was earned before.
pub fn prove(
    backup: &Backup,
    stores: &[&dyn DataStore],
    scratch: &Path,
    keys: &Keys,
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Trust> {
    prove_and_keep(backup, stores, (scratch, keys), &[], clock, reporter).map(|it| it.0)
}

/// A restored store that was not thrown away, with its name.
pub type Restored = Vec<(String, Box<dyn Sandbox>)>;

/// As [`prove`], and keeps what was restored of the stores named in `keep`: what a rehearsal works on next need not be
/// restored a second time.
///
/// # Errors
/// As [`prove`]; then nothing is kept.
pub fn prove_and_keep(
    backup: &Backup,
    stores: &[&dyn DataStore],
    (scratch, keys): (&Path, &Keys),
    keep: &[String],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<(Trust, Restored)> {
    let test = Test::begin(backup, clock);
    match try_all(backup, stores, (scratch, keys), keep, reporter) {
        Ok((proofs, kept)) => {
            let grade = proofs.iter().map(|it| it.grade).min().unwrap_or(Grade::Readable);
            let trust = test.passed(grade, proofs);
            test.write(&trust)?;
            Ok((trust, kept))
        }
        Err(error) if speaks_of_the_backup(&error) => Err(test.fell(error)),
        Err(error) if error.class == "cancelled" || backup.grade_word() != "taken" => Err(error),
        // It could not be restored here (no room, no server); whether it opens can still be told.
        Err(error) => match read_through(backup, stores, scratch, keys, clock, reporter) {
            Ok(_) => Err(error.detail("The backup was read to its end without a fault: it is readable, not proven.")),
            Err(worse) if speaks_of_the_backup(&worse) => Err(worse),
            Err(_) => Err(error),
        },
    }
}

/// Reads every dump to its end, and restores nothing: quicker than [`prove`], needs no room, and tells less. What was only
/// taken is readable then; what was proven stays so, and what has failed a test stays failed.
///
/// # Errors
/// As [`prove`].
pub fn read_through(
    backup: &Backup,
    stores: &[&dyn DataStore],
    scratch: &Path,
    keys: &Keys,
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Trust> {
    let test = Test::begin(backup, clock);
    match try_reading(backup, stores, (scratch, keys), reporter) {
        Ok(proofs) => {
            let trust = test.passed(Grade::Readable, proofs);
            if backup.grade < Grade::Proven && backup.failed.is_none() {
                test.write(&trust)?;
            }
            Ok(trust)
        }
        Err(error) if speaks_of_the_backup(&error) => Err(test.fell(error)),
        Err(error) => Err(error),
    }
}

/// A test that a backup undergoes, and what is written down of it.
struct Test<'a> {
    backup: &'a Backup,
    clock: &'a dyn Clock,
    since: Instant,
}

impl<'a> Test<'a> {
    fn begin(backup: &'a Backup, clock: &'a dyn Clock) -> Self {
        Self { backup, clock, since: Instant::now() }
    }

    fn passed(&self, grade: Grade, stores: Vec<Proof>) -> Trust {
        Trust {
            grade,
            at: self.clock.now(),
            seconds: self.since.elapsed().as_secs_f64(),
            manifest_sha256: self.backup.manifest_sha256.clone(),
            stores,
            was_proven_at: None,
            failed: None,
        }
    }

    /// Writes down, where that is possible, that the backup is bad. What is wrong with it matters more than that it could not
    /// be noted beside it.
    fn fell(&self, error: Error) -> Error {
        let was_proven_at = self.backup.proven_at.or(self.backup.was_proven_at);
        let trust = Trust { was_proven_at, failed: Some(error.clone()), ..self.passed(Grade::Taken, Vec::new()) };
        if durable::expect_our_dir(&self.backup.path).is_ok() {
            let _ = self.write(&trust);
        }
        error
    }

    fn write(&self, trust: &Trust) -> Result<()> {
        durable::write(&self.backup.path.join(PROOF), &json(trust)?)
    }
}

fn try_reading(
    backup: &Backup,
    stores: &[&dyn DataStore],
    (scratch, keys): (&Path, &Keys),
    reporter: &dyn Reporter,
) -> Result<Vec<Proof>> {
    each(backup, stores, (scratch, keys), reporter, |store, opened, reporter| {
        let since = Instant::now();
        store.read_through(&opened.dumped, &opened.folder, reporter)?;
        Ok(Proof {
            store: opened.dumped.store.clone(),
            grade: Grade::Readable,
            how: "Decompressed and listed to its end; not restored.".to_owned(),
            seconds: since.elapsed().as_secs_f64(),
        })
    })
}

/// Checks the folder, then does `test` with every dump, opened, and the store that it is of.
fn each(
    backup: &Backup,
    stores: &[&dyn DataStore],
    (scratch, keys): (&Path, &Keys),
    reporter: &dyn Reporter,
    mut test: impl FnMut(&dyn DataStore, &Opened, &dyn Reporter) -> Result<Proof>,
) -> Result<Vec<Proof>> {
    check(backup, &Part::begin(reporter, (0.0, READING), None))?;
    let weights: Vec<u64> = backup.manifest.stores.iter().map(|it| it.raw_bytes).collect();
    let testing = Part::begin(reporter, (READING, 1.0), None);
    let mut proofs = Vec::with_capacity(backup.manifest.stores.len());
    for (dumped, share) in backup.manifest.stores.iter().zip(shares(&weights)) {
        let store =
            stores.iter().find(|it| it.name() == dumped.store && it.kind() == dumped.kind).ok_or_else(|| {
                Error::refused(
                    "store_unknown",
                    format!("The backup holds “{}”, which this installation does not know.", dumped.store),
                )
                .remedy("Name this store in the profile as it was when the backup was made, then try again.")
            })?;
        reporter.check()?;
        let reporter = &Part::begin(&testing, share, None);
        let opened = opened(backup, dumped, keys, scratch, reporter)?;
        proofs.push(test(*store, &opened, reporter)?);
    }
    Ok(proofs)
}

fn try_all(
    backup: &Backup,
    stores: &[&dyn DataStore],
    (scratch, keys): (&Path, &Keys),
    keep: &[String],
    reporter: &dyn Reporter,
) -> Result<(Vec<Proof>, Restored)> {
    let mut kept: Restored = Vec::new();
    let proofs = each(backup, stores, (scratch, keys), reporter, |store, opened, reporter| {
        let (dumped, folder) = (&opened.dumped, &opened.folder);
        if !keep.contains(&dumped.store) {
            return store.prove(dumped, folder, scratch, reporter);
        }
        let since = Instant::now();
        // Restoring for a rehearsal compares all that proving does.
        kept.push((dumped.store.clone(), store.sandbox(dumped, folder, scratch, reporter)?));
        Ok(Proof {
            store: dumped.store.clone(),
            grade: Grade::Proven,
            how: "Restored whole on the side and compared; then the rehearsal worked on it.".to_owned(),
            seconds: since.elapsed().as_secs_f64(),
        })
    })?;
    Ok((proofs, kept))
}

/// Reads every dump and compares it with the checksum of the manifest, which must be the one that `backup` was opened with.
///
/// # Errors
/// As [`open`], and `backup_damaged`.
pub fn check(backup: &Backup, reporter: &dyn Reporter) -> Result<()> {
    let now = open(&backup.path)?;
    if now.manifest_sha256 != backup.manifest_sha256 {
        return Err(damaged(&backup.path, "its manifest was changed"));
    }
    for dumped in &now.manifest.stores {
        let path = now.file(dumped);
        let mut file = durable::open_ours(&path)?;
        let (sha256, bytes) = digest::sha256_of(&mut file, &path, Some(dumped.bytes), reporter)?;
        if bytes != dumped.bytes {
            return Err(damaged(&path, "its size is another one"));
        }
        if sha256 != dumped.sha256 {
            return Err(damaged(&path, "its checksum is another one"));
        }
    }
    for globals in now.manifest.stores.iter().filter_map(Dumped::globals) {
        let path = now.path.join(&globals.file);
        let (sha256, _) = digest::sha256_of(&mut durable::open_ours(&path)?, &path, Some(globals.bytes), reporter)?;
        if sha256 != globals.sha256 {
            return Err(damaged(&path, "its checksum is another one"));
        }
    }
    Ok(())
}
