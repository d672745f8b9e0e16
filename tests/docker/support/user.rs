//! An ordinary user who may talk to the engine: whatever they may not do to the machine, Docker must do for them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::World;

/// Nobody else on this machine has these.
const USER: u32 = 47_110;
const GROUP: u32 = 47_111;

/// This thread, and whatever it starts, is that user until this is dropped; the world belongs to them.
pub(crate) struct OrdinaryUser(());

impl OrdinaryUser {
    pub(crate) fn of(world: &mut World) -> Self {
        let program = world.dir.join("liftlock");
        fs::copy(&world.program, &program).unwrap();
        world.program = program;
        world.is_of_a_user = true;
        for dir in [&world.dir, &world.engine.dir] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let owner = format!("{USER}:{USER}");
        let all = Command::new("chown").args(["-R", "--no-dereference", &owner]).arg(&world.dir).status().unwrap();
        assert!(all.success());
        Self::may_talk_to(world);
        become_one(USER, GROUP);
        assert!(fs::read_dir(world.folder_of_volume("uploads")).is_err(), "Docker's own folder is closed to them");
        Self(())
    }

    /// The socket is made anew with the engine.
    pub(crate) fn may_talk_to(world: &World) {
        by_root(|| {
            let socket = world.engine.dir.join("docker.sock");
            chown(&socket, Some(0), Some(GROUP)).unwrap();
            fs::set_permissions(&socket, fs::Permissions::from_mode(0o660)).unwrap();
        });
    }
}

impl Drop for OrdinaryUser {
    fn drop(&mut self) {
        become_root();
    }
}

/// Looks as root, whoever this thread is.
pub(crate) fn by_root<T>(look: impl FnOnce() -> T) -> T {
    let is_root = geteuid().is_root();
    if !is_root {
        become_root();
    }
    let seen = look();
    if !is_root {
        become_one(USER, GROUP);
    }
    seen
}

fn become_one(user: u32, group: u32) {
    let (user, group, root) = (Uid::from_raw(user), Gid::from_raw(group), (Uid::ROOT, Gid::ROOT));
    set_thread_groups(&[group]).unwrap();
    set_thread_res_gid(group, group, root.1).unwrap();
    // What is kept is the way back; a program that is started does not have it.
    set_thread_res_uid(user, user, root.0).unwrap();
}

fn become_root() {
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).unwrap();
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).unwrap();
    set_thread_groups(&[Gid::ROOT]).unwrap();
}

/// Everything below a folder, with all that a program could tell it by. Bytes of names that are no text are told too.
pub(crate) fn all_of(folder: &Path) -> Vec<String> {
    let told = |path: &Path| {
        let meta = fs::symlink_metadata(path).unwrap();
        let content = match fs::read_link(path) {
            Ok(target) => format!("-> {}", target.display()),
            Err(_) if meta.is_file() => liftlock_engine::digest::sha256(&fs::read(path).unwrap()),
            Err(_) => String::new(),
        };
        let mode = if meta.is_symlink() { 0 } else { meta.mode() };
        let (owner, at) = ((meta.uid(), meta.gid()), if meta.is_symlink() { 0 } else { meta.mtime() });
        format!("{:?} {mode:o} {owner:?} {at} {content}", path.strip_prefix(folder).unwrap())
    };
    let (mut all, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        all.push(told(&path));
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
        }
    }
    all.sort();
    all
}
