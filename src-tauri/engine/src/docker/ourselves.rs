//! Liftlock's own program in a container: for what only root of the machine may do, where this user may talk to Docker.
//!
//! The image is made here and fetched from nowhere: the program and the libraries that it is linked with, as they lie on this
//! machine, so that they always fit together, and nothing else; no shell, and nothing of the application. Its tag is the hash
//! of what is in it, so it is made once an engine and Liftlock, and the one of an earlier Liftlock goes when the next is made.
//!
//! What runs in it sees what it is given and nothing more: a file system that cannot be written, and of root's rights those over
//! files, without network and log; or that to listen, without files. Deliberately absent: what it does, and who ends one that
//! a killed worker has left behind.

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Docker, invocation, succeeded};
use crate::digest;
use crate::error::{Error, Result};
use crate::ports::{Invocation, Patience, Pipes};
use crate::process::{Silent, beside};

/// The name of the image; the tag is the hash of what is in it.
const NAME: &str = "liftlock/ourselves";
/// What the program is called, here and in the image.
const PROGRAM: &str = "liftlock";
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(300), stall_after: None };
/// Rights over files of others.
const OVER_FILES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"];

/// Where the files of a volume lie, and how this user comes there.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The folder, as the engine sees it.
    pub folder: PathBuf,
    /// What the engine calls the volume.
    pub volume: String,
    /// On containers that change something there: what whoever ends those of a killed worker knows them by.
    pub label: String,
    /// `None` where this user may go there.
    pub through: Option<Ourselves>,
}

/// The image on an engine.
#[derive(Debug, Clone)]
pub struct Ourselves {
    docker: Docker,
    image: String,
    /// Where the loader is in the image; `None` for a program that needs none.
    loader: Option<String>,
}

impl Ourselves {
    /// Makes the image, unless it is there.
    ///
    /// # Errors
    /// The program cannot be read; what Docker answers.
    pub fn on(docker: &Docker) -> Result<Self> {
        let program = program();
        let libraries = libraries(docker, &program)?;
        let loader = libraries.iter().map(|it| &it.0).find(|it| it.starts_with("ld-") || it.starts_with("ld64"));
        let loader = loader.map(|it| format!("/lib/{it}"));
        let packed = packed(&program, &libraries)?;
        let image = format!("{NAME}:{}", &digest::sha256(&packed)[..16]);
        if docker.ask(["image", "inspect", "--format", "{{.Id}}", &image]).is_err() {
            let import = invocation().args(["import", "-", &image]).quiet();
            docker.again(|| {
                let pipes = Pipes { stdin: Some(&mut packed.as_slice()), stdout: None };
                succeeded(docker.runner().pipe(&import, pipes, PATIENCE, &[], &Silent))
            })?;
            let all = docker.ask(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", NAME])?;
            for old in all.lines().filter(|it| *it != image) {
                // One that is in use stays until another time.
                let _ = docker.ask(["image", "rm", old]);
            }
        }
        Ok(Self { docker: docker.clone(), image, loader })
    }

    /// The engine that it is on.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Our program with these words, in a container that is gone afterwards. `options` are those of `docker run`: its name,
    /// its labels, what is mounted. What it reads and writes goes through `docker`.
    #[must_use]
    pub fn run<'a>(&self, options: impl IntoIterator<Item = &'a str>, words: &[&str]) -> Invocation {
        let how = ["--rm", "--interactive", "--network=none", "--log-driver=none"].map(str::to_owned);
        let rights = OVER_FILES.map(|it| format!("--cap-add={it}"));
        self.begin(how.into_iter().chain(rights).chain(options.into_iter().map(str::to_owned)), words)
    }

    /// Our program with these words, in a container that stays until somebody removes it and listens where this machine does.
    #[must_use]
    pub fn listen(&self, label: &str, words: &[&str]) -> Invocation {
        let how = ["--detach", "--network=host", "--cap-add=NET_BIND_SERVICE"].map(str::to_owned);
        self.begin(how.into_iter().chain([format!("--label={label}")]), words)
    }

    fn begin(&self, how: impl IntoIterator<Item = String>, words: &[&str]) -> Invocation {
        let run = invocation().args(["run", "--pull=never"]).args([
            "--read-only",
            "--user=0:0",
            // Where the engine gives containers other users than the machine's, and where its labels would forbid it.
            "--userns=host",
            "--security-opt=label=disable",
            "--security-opt=no-new-privileges",
            "--cap-drop=ALL",
        ]);
        let run = run.args(how);
        let mut run =
            run.arg(format!("--entrypoint={}", self.loader.as_deref().unwrap_or("/liftlock"))).arg(&self.image);
        if self.loader.is_some() {
            run = run.args(["--library-path", "/lib", "/liftlock"]);
        }
        run.args(words.iter().copied())
    }
}

/// The command line, which is also the worker: this process, or what stands beside the window.
fn program() -> PathBuf {
    env::current_exe()
        .ok()
        .filter(|it| it.file_stem().is_some_and(|it| it == PROGRAM))
        .unwrap_or_else(|| beside(PROGRAM))
}

/// The libraries that the loader of this machine would give to `program`, by the name that it asks for; the loader too.
fn libraries(docker: &Docker, program: &Path) -> Result<Vec<(String, PathBuf)>> {
    let ask = Invocation::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").quiet();
    let told = docker.runner().run(&ask, PATIENCE, &[], &Silent)?;
    Ok(told.stdout.lines().filter_map(library).collect())
}

/// A line of the loader: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for itself.
fn library(line: &str) -> Option<(String, PathBuf)> {
    let (line, _) = line.trim().rsplit_once(" (")?;
    let (name, path) = line.split_once(" => ").unwrap_or((line, line));
    let name = Path::new(name).file_name()?.to_str()?;
    path.starts_with('/').then(|| (name.to_owned(), path.into()))
}

/// What the image consists of, the same bytes each time.
fn packed(program: &Path, libraries: &[(String, PathBuf)]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let files = libraries.iter().map(|(name, path)| (format!("lib/{name}"), path.as_path()));
    for (name, path) in files.chain([(PROGRAM.to_owned(), program)]) {
        let failed = |cause: io::Error| Error::io("read", path, &cause);
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut it| it.read_to_end(&mut bytes)).map_err(failed)?;
        let mut header = tar::Header::new_gnu();
        header.set_path(&name).map_err(failed)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive.append(&header, bytes.as_slice()).map_err(failed)?;
    }
    archive.into_inner().map_err(|cause| Error::io("read", program, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_says_what_a_program_is_linked_with() {
        let told = "\tlinux-vdso.so.1 (0x00007f0)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\
                    \tlibm.so.6 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\nUsage: liftlock [OPTIONS]\n";
        let found: Vec<_> = told.lines().filter_map(library).collect();
        let expected =
            [("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"), ("ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2")];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))));
    }
}
