//! The same store for a user who may not go where its files lie: each verb is carried out by Liftlock's own program in a
//! container, as root, with the folder above mounted where it is, so that every path in the journal means the same to both.
//!
//! What is asked goes in as a document behind its length, and behind that the archive of a restore. What comes out is
//! the archive of a dump, and behind it the answer and its length. Lines on standard error are the reporter's.
//!
//! Whoever changes something there is alone: its container has the name of the volume, and one of that name that a
//! killed worker has left is ended first. So nothing but the holder of the lease may ask for it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::archive::{self, Packed};
use super::{FilesStore, tree};
use crate::docker::{Ourselves, Reach, understood};
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Patience, Pipes, Reporter, Unit};
use crate::process::Silent;
use crate::stores::{Aside, Counts, DataStore, Dumped};

/// The word of the command line behind which the program does this.
pub const WORD: &str = "files-errand";
/// What begins a line that tells of progress.
const MOVED: &str = "moved: ";
/// How many bytes are worth a line.
const A_LINE: u64 = 8 << 20;
/// It tells of itself, and whoever waits for it says when to stop.
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(7 * 86400), stall_after: None };

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verb {
    Look,
    Dump,
    Plan(String),
    Observe(Aside),
    ObserveByName(String),
    Copy(Aside),
    Restore(Aside, Box<Dumped>),
    Swap(Aside),
    PutBack(Aside),
    NextCounts(Aside),
    KeptBytes(Aside, bool),
    Discard(Aside),
}

impl Verb {
    fn changes(&self) -> bool {
        matches!(self, Self::Copy(_) | Self::Restore(..) | Self::Swap(_) | Self::PutBack(_) | Self::Discard(_))
    }
    /// It asks whether it may write there.
    fn may_write(&self) -> bool {
        self.changes() || matches!(self, Self::Plan(_))
    }
}

/// What is asked for, and of which store.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    name: String,
    dir: PathBuf,
    immutable: bool,
    verb: Verb,
}

/// What a look at the files tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) counts: Counts,
    pub(super) moment: String,
}

/// A store, and the way there.
#[derive(Debug)]
pub(super) struct Far<'a> {
    store: &'a FilesStore,
    reach: &'a Reach,
    through: &'a Ourselves,
}

impl<'a> Far<'a> {
    /// `None` where this user may go there.
    pub(super) fn of(store: &'a FilesStore, reach: &'a Reach) -> Option<Self> {
        Some(Self { store, reach, through: reach.through.as_ref()? })
    }

    pub(super) fn look(&self, reporter: &dyn Reporter) -> Result<Seen> {
        self.ask(&Verb::Look, reporter)
    }

    /// What can be asked twice: an engine that is only coming up is waited for.
    pub(super) fn ask<T: DeserializeOwned>(&self, verb: &Verb, reporter: &dyn Reporter) -> Result<T> {
        self.through.docker().again(|| {
            let mut out = Vec::new();
            self.send(verb, io::empty(), &mut out, reporter)?;
            let (answer, _) = self.answer(&mut io::Cursor::new(out))?;
            read(answer)
        })
    }

    /// Writes the new file `into`, synced.
    pub(super) fn dump(&self, into: &Path, reporter: &dyn Reporter) -> Result<Dumped> {
        let mut file = durable::create_private_file(into)?;
        let done = self.send(&Verb::Dump, io::empty(), &mut file, reporter).and_then(|()| {
            let (answer, end) = self.answer(&mut durable::open_no_follow(into)?)?;
            let dumped: Dumped = read(answer)?;
            if dumped.bytes != end {
                return Err(self.unanswered());
            }
            file.set_len(end).and_then(|()| file.sync_all()).map_err(|cause| Error::io("write", into, &cause))?;
            durable::fsync_dir(durable::parent(into)?)?;
            Ok(dumped)
        });
        if done.is_err() {
            // Ours, and never whole; the reason for the failure matters more than a leftover.
            let _ = fs::remove_file(into);
        }
        done
    }

    pub(super) fn restore(
        &self,
        aside: &Aside,
        dumped: &Dumped,
        packed: Packed<'_>,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let mut out = Vec::new();
        let verb = Verb::Restore(aside.clone(), Box::new(Dumped { bytes: packed.bytes, ..dumped.clone() }));
        self.send(&verb, packed.file, &mut out, reporter)?;
        read(self.answer(&mut io::Cursor::new(out))?.0)
    }

    /// Has `verb` carried out, with `archive` to be read behind it.
    fn send(
        &self,
        verb: &Verb,
        archive: impl Read + Send,
        out: &mut (dyn Write + Send),
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let docker = self.through.docker();
        let above = durable::parent(&self.reach.folder)?.display().to_string();
        let (name, label) = (self.name(verb), format!("--label={}", self.reach.label));
        // One of that name which is somebody's own stays: then the name is taken, and nothing is done.
        let gone = || {
            let ours = [format!("--filter=name=^/{name}$"), format!("--filter=label={}", self.reach.label)];
            let ours = if verb.changes() { &ours[..] } else { &ours[..1] };
            let there = docker.ask(["ps", "--all", "--quiet"].into_iter().chain(ours.iter().map(String::as_str)))?;
            there.split_whitespace().try_for_each(|it| docker.ask(["rm", "--force", it]).map(drop))
        };
        let read_only = if verb.may_write() { "" } else { ",readonly" };
        let mount = format!("--mount=type=bind,source={above},target={above}{read_only}");
        let mut options = vec!["--name", name.as_str(), mount.as_str()];
        if verb.changes() {
            let _ = gone();
            options.push(&label);
        }
        let run = self.through.run(options, &[WORD]).quiet();
        let asked = self.framed(verb)?;
        let mut input = asked.chain(archive);
        let pipes = Pipes { stdin: Some(&mut input), stdout: Some(out) };
        let finished = docker.runner().pipe(&run, pipes, PATIENCE, &[], &Heard(reporter));
        if finished.is_err() {
            // Whoever stopped waiting has not stopped the container.
            let _ = gone();
        }
        let finished = finished?;
        if finished.succeeded() { Ok(()) } else { Err(understood(&finished.stderr)) }
    }

    fn name(&self, verb: &Verb) -> String {
        if verb.changes() {
            return format!("liftlock-files-{}", self.reach.volume);
        }
        format!("liftlock-{}", Uuid::new_v4().simple())
    }

    fn framed(&self, verb: &Verb) -> Result<io::Cursor<Vec<u8>>> {
        let Self { store, reach, .. } = self;
        let errand = serde_json::json!({
            "name": store.name, "dir": reach.folder, "immutable": store.immutable, "verb": verb,
        });
        let asked = errand.to_string().into_bytes();
        Ok(io::Cursor::new([&(asked.len() as u64).to_le_bytes()[..], &asked].concat()))
    }

    /// The answer, and where what stands before it ends.
    fn answer(&self, out: &mut (impl Read + Seek)) -> Result<(Vec<u8>, u64)> {
        let mut length = [0; 8];
        let found = out.seek(SeekFrom::End(-8)).and_then(|end| {
            out.read_exact(&mut length)?;
            let length = u64::from_le_bytes(length);
            let begin = end.checked_sub(length).ok_or(io::ErrorKind::InvalidData)?;
            out.seek(SeekFrom::Start(begin))?;
            let mut answer = Vec::new();
            out.take(length).read_to_end(&mut answer)?;
            Ok((answer, begin))
        });
        found.map_err(|cause| self.unanswered().because(&cause))
    }

    fn unanswered(&self) -> Error {
        let message = format!(
            "The container in which Liftlock works on the files in the volume {} broke off.",
            self.reach.volume
        );
        Error::failed("container_down", message).remedy("Look at what Docker says (“docker events”), then try again.")
    }
}

fn read<T: DeserializeOwned>(answer: Vec<u8>) -> Result<T> {
    let answer: Result<T, serde_json::Error> = match serde_json::from_slice::<Result<Value>>(&answer) {
        Ok(answer) => serde_json::from_value(answer?),
        Err(cause) => Err(cause),
    };
    answer.map_err(|cause| Error::bug("files_errand", "Liftlock's own program gave no answer.").because(&cause))
}

/// Takes progress out of the lines that a container prints.
struct Heard<'a>(&'a dyn Reporter);

impl Reporter for Heard<'_> {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        self.0.moved(done, total, unit);
    }
    fn say(&self, line: &str) {
        match line.strip_prefix(MOVED).and_then(|it| it.split_once(' ')) {
            Some((done, total)) => self.0.moved(done.parse().unwrap_or_default(), total.parse().ok(), Unit::Bytes),
            None => self.0.say(line),
        }
    }
    fn check(&self) -> Result<()> {
        self.0.check()
    }
}

/// Prints what is told, in the container.
#[derive(Default)]
struct Telling(AtomicU64);

impl Reporter for Telling {
    fn moved(&self, done: u64, total: Option<u64>, _unit: Unit) {
        let due = self.0.load(Ordering::Relaxed);
        if done < due {
            return;
        }
        self.0.store(done + A_LINE, Ordering::Relaxed);
        self.say(&format!("{MOVED}{done} {}", total.map_or_else(|| "-".to_owned(), |it| it.to_string())));
    }
    fn say(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// In the container: reads what is asked for, does it, and writes the answer.
///
/// # Errors
/// What was asked for cannot be read, or nobody reads the answer.
pub fn run_errand(mut input: File, mut output: File) -> Result<()> {
    let broken = |cause: io::Error| Error::io("talk to whoever started", Path::new(WORD), &cause);
    let mut length = [0; 8];
    input.read_exact(&mut length).map_err(broken)?;
    let mut asked = Vec::new();
    (&input).take(u64::from_le_bytes(length)).read_to_end(&mut asked).map_err(broken)?;
    let errand: Errand = serde_json::from_slice(&asked).map_err(|cause| broken(cause.into()))?;
    let store = FilesStore::new(errand.name, errand.dir, errand.immutable);
    let answer = output.try_clone().map_err(broken).and_then(|archive| store.carry_out(errand.verb, input, archive));
    let answer = serde_json::to_vec(&answer).map_err(|cause| broken(cause.into()))?;
    let all = [&answer[..], &(answer.len() as u64).to_le_bytes()].concat();
    output.write_all(&all).map_err(broken)
}

impl FilesStore {
    fn carry_out(&self, verb: Verb, input: File, output: File) -> Result<Value> {
        let reporter = &Telling::default();
        match verb {
            Verb::Look => {
                let dir = self.dir()?;
                let tree = tree::look(dir, &Silent)?;
                let moment = tree::newest(dir, &Silent)?;
                json(Seen { bytes: tree.bytes(), counts: tree.counts(), moment })
            }
            Verb::Dump => {
                let (since, dir) = (Instant::now(), self.dir()?);
                let total = tree::look(dir, &Silent)?.bytes();
                let into = Path::new("the backup");
                let (_, written, tree) =
                    archive::pack_into(dir, output, into, Some(total), &mut |_, _, _| {}, reporter)?;
                json(self.dumped(written, &tree, since))
            }
            Verb::Plan(id) => json(self.plan_aside(&id)?),
            Verb::Observe(aside) => json(self.observe(&aside)?),
            Verb::ObserveByName(id) => json(self.observe_by_name(&id)?),
            Verb::Copy(aside) => json(self.copy_next(&aside, reporter)?),
            Verb::Restore(aside, dumped) => {
                let packed = Packed { path: Path::new(&dumped.file), file: input, bytes: dumped.bytes };
                json(self.restore_beside(&aside, &dumped, packed, reporter)?)
            }
            Verb::Swap(aside) => json(self.swap(&aside)?),
            Verb::PutBack(aside) => json(self.put_back(&aside)?),
            Verb::NextCounts(aside) => json(self.next_counts(&aside, reporter)?),
            Verb::KeptBytes(aside, failed) => json(self.kept_bytes(&aside, failed)),
            Verb::Discard(aside) => json(self.discard(&aside)?),
        }
    }
}

fn json(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(|cause| Error::bug("files_errand", "An answer is not JSON.").because(&cause))
}
