//! A small file system of its own for a test, which fills it, taken away with this.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
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
        is_mounted(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at))
            .then(|| Self(at.to_owned()))
    }

    /// One below a folder of which others make a mount of their own later: that would hide what was mounted below it before.
    pub(crate) fn below(mebibytes: u32, folder: &Path, name: &str) -> Option<Self> {
        let is_bound = is_mounted(Command::new("mount").arg("--bind").args([folder, folder]));
        is_bound.then(|| Self::of(mebibytes, &folder.join(name))).flatten()
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Not a byte is left.
    pub(crate) fn fill(&self) {
        let device = |it: &Path| fs::metadata(it).unwrap().dev();
        let above = self.0.parent().unwrap();
        assert_ne!(
            device(&self.0),
            device(above),
            "{}: the disk of this machine is not to be filled",
            self.0.display()
        );
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

fn is_mounted(mount: &mut Command) -> bool {
    let is_mounted = mount.status().is_ok_and(|it| it.success());
    if !is_mounted {
        eprintln!("not run: this user may not mount a small disk");
    }
    is_mounted
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever had its data there may have taken it away already.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}
