//! Storage of objects for copies.
//!
//! A copy is the objects below `PREFIX/INSTALLATION/ID/`, and counts when its mark `.whole` is there, which is written when
//! everything else was read back, and removed before anything else is. Only what is named as our copies are is
//! ever removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CopyOf, CopyPlace, MARK, MARKED, Sent, Stage, is_plain, journal_of, made_at};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::objects::{Address, Storage, Unfinished};
use crate::ports::Reporter;

/// Says that a copy was read back whole.
const WHOLE: &str = ".whole";

/// A bucket that copies lie in.
#[derive(Debug)]
pub struct Bucket {
    storage: Storage,
    prefix: String,
    journals: PathBuf,
}

impl Bucket {
    /// The bucket at `address`; what of large files has arrived is written down below `journals`.
    ///
    /// # Errors
    /// The secret key cannot be read.
    pub fn open(address: &Address, journals: &Path) -> Result<Self> {
        let slash = if address.prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            storage: Storage::open(address)?,
            prefix: format!("{}{slash}", address.prefix),
            journals: journals.to_owned(),
        })
    }

    fn root(&self, installation: &InstallationName) -> String {
        format!("{}{installation}/", self.prefix)
    }

    fn key(&self, copy: &CopyOf, name: &str) -> String {
        format!("{}{}/{name}", self.root(&copy.installation), copy.id)
    }

    fn mark(&self) -> String {
        format!("{}{MARK}", self.prefix)
    }

    /// The names of all objects of a copy.
    fn objects(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<Vec<String>> {
        let folder = self.key(copy, "");
        let keys = self.storage.list(&folder, reporter)?;
        Ok(keys.iter().filter_map(|it| it.strip_prefix(&folder)).map(str::to_owned).collect())
    }
}

impl CopyPlace for Bucket {
    fn shown(&self) -> String {
        self.storage.shown().to_owned()
    }

    fn path_of(&self, copy: &CopyOf) -> String {
        format!("{}/{}/{}", self.storage.shown(), copy.installation, copy.id)
    }

    fn choose(&self, reporter: &dyn Reporter) -> Result<()> {
        // What may not list could never be tidied, and what may write and not read could never be compared.
        self.storage.list(&self.mark(), reporter)?;
        self.storage.put(&self.mark(), MARKED, reporter)?;
        self.expect_ours(reporter)
    }

    fn expect_ours(&self, reporter: &dyn Reporter) -> Result<()> {
        if self.storage.get(&self.mark(), &mut |_| Ok(()), reporter)?.is_some() {
            return Ok(());
        }
        Err(Error::refused("storage_not_chosen", format!("{} does not bear Liftlock's mark.", self.shown())).remedy(
            "If it is the right place, choose it again: `liftlock backup copy --to s3://… --key-id ID --key-from PLACE`.",
        ))
    }

    fn has(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<bool> {
        Ok(self.storage.size(&self.key(copy, WHOLE), reporter)?.is_some())
    }

    fn begin(&self, _: &CopyOf, _: u64, _: &dyn Reporter) -> Result<()> {
        durable::create_private_dir(&self.journals)
    }

    fn send(
        &self,
        copy: &CopyOf,
        name: &str,
        from: &Path,
        reporter: &dyn Reporter,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Sent> {
        let key = self.key(copy, name);
        let journal = journal_of(&self.journals, &self.shown(), &key);
        self.storage.send(&key, from, &journal, reporter, told)
    }

    fn read(
        &self,
        copy: &CopyOf,
        _: Stage,
        name: &str,
        into: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<bool> {
        Ok(self.storage.get(&self.key(copy, name), into, reporter)?.is_some())
    }

    fn discard(&self, copy: &CopyOf, name: &str, reporter: &dyn Reporter) -> Result<()> {
        // Of the right size, it would count as sent.
        self.storage.delete(&self.key(copy, name), reporter)
    }

    fn finish(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<()> {
        self.storage.put(&self.key(copy, WHOLE), MARKED, reporter)
    }

    fn list(&self, installation: &InstallationName, reporter: &dyn Reporter) -> Result<Vec<String>> {
        let root = self.root(installation);
        let end = format!("/{WHOLE}");
        let keys = self.storage.list(&root, reporter)?;
        let ids: BTreeSet<&str> = keys
            .iter()
            .filter_map(|it| it.strip_prefix(&root)?.strip_suffix(&end))
            .filter(|it| made_at(it).is_some())
            .collect();
        Ok(ids.into_iter().map(str::to_owned).collect())
    }

    fn files(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<Vec<String>> {
        let mut names = self.objects(copy, reporter)?;
        names.retain(|it| it != WHOLE);
        Ok(names)
    }

    fn remove(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<()> {
        self.storage.delete(&self.key(copy, WHOLE), reporter)?;
        for name in self.objects(copy, reporter)? {
            // What others put there is theirs.
            if is_plain(&name) {
                self.storage.delete(&self.key(copy, &name), reporter)?;
            }
        }
        Ok(())
    }

    fn clear_unfinished(&self, newest: &CopyOf, reporter: &dyn Reporter) -> Result<()> {
        let (root, current) = (self.root(&newest.installation), self.key(newest, ""));
        let is_left = |key: &str| key.starts_with(&root) && !key.starts_with(&current);
        for path in durable::entries(&self.journals)? {
            let Some(begun) = Unfinished::read(&path) else { continue };
            if begun.place == self.shown() && is_left(&begun.key) {
                self.storage.give_up(&begun.key, &begun.upload_id, reporter)?;
                std::fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, &cause))?;
            }
        }
        // What was begun where nothing is written down any more.
        for (key, upload_id) in self.storage.unfinished(&root, reporter)? {
            if is_left(&key) {
                self.storage.give_up(&key, &upload_id, reporter)?;
            }
        }
        // The objects of copies that were never ended; what others put there is called otherwise.
        let keys = self.storage.list(&root, reporter)?;
        let whole: BTreeSet<&str> = keys.iter().filter_map(|it| it.strip_suffix(WHOLE)).collect();
        for key in keys.iter().filter(|it| is_left(it)) {
            let Some((id, name)) = key.strip_prefix(&root).and_then(|it| it.split_once('/')) else { continue };
            let is_ours = made_at(id).is_some() && is_plain(name);
            if is_ours && !whole.contains(format!("{root}{id}/").as_str()) {
                self.storage.delete(key, reporter)?;
            }
        }
        Ok(())
    }
}
