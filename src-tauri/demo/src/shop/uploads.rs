//! Files that customers send: one folder, plain names, never half a file under its name.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

/// Where the file with this name belongs.
///
/// # Errors
/// A name that could leave the folder.
pub(super) fn path(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = name.chars().all(|it| it.is_ascii_alphanumeric() || "._-".contains(it));
    ensure!(plain && !name.is_empty() && !name.starts_with('.') && name.len() <= 100, "not a plain file name");
    Ok(folder.join(name))
}

/// Stores a file durably. A file that is there is never rewritten.
///
/// # Errors
/// The name is taken, or not a plain one.
pub(super) fn store(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = path(folder, name)?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".incoming-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Names of the stored files, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names)
}
