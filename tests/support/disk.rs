//! A small file system of its own for a test, which fills it, taken away with this.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Mounted at this folder.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    /// None where this user may not mount one, which is said.
    pub(crate) fn of(mebibytes: u32, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|it| it.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("not run: this user may not mount a small disk");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Not a byte is left.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![0x5A; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// So many bytes are left.
    pub(crate) fn fill_but(&self, bytes: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.filler()).unwrap();
        filler.set_len(filler.metadata().unwrap().len() - bytes).unwrap();
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever had its data there may have taken it away already.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}
