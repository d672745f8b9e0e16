//! Running a command to its end, and knowing when that end will not come.
//!
//! A command that works is given time; one that neither prints, moves bytes, uses the processor nor shows
//! another sign is stuck. Whatever the reason to stop it, its whole tree is ended and reaped before the call
//! returns. A command that ends by itself may leave others running: starting a scratch server is such a one.

use std::{
    fmt,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use uuid::Uuid;

use super::identity::Identity;
use super::invoke;
use super::orphans::{OrphanLock, UPGRADE_MARK};
use super::streams::{Flow, Heard, Stream, drain, feed, listen, pour, widen};
use super::text::{Lines, Tail, printable};
use super::tree::{Tree, Work, pids};
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::ports::{Clock, Finished, Invocation, Patience, Pipes, Reporter, Runner, SignOfWork, Unit};

/// The variable that tells the members of one run from all others.
const RUN_MARK: &str = "LIFTLOCK_RUN";
const KEPT_STDOUT: usize = 1024 * 1024;
const KEPT_STDERR: usize = 64 * 1024;
/// How often the reporter is asked whether to stop.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(50);
/// How often the tree is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// What a tree must do between two looks to be at work. An idle loop that wakes up now and then does less.
const WORKING_CPU: Duration = Duration::from_millis(30);
const WORKING_BYTES: u64 = 64 * 1024;
/// How long a pipe may stay open and silent after its command has ended, because a process left behind by it
/// has it too.
const AFTER_END: Duration = Duration::from_secs(2);

/// Hears nothing and never says stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {}
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs commands on this machine.
#[derive(Clone)]
pub struct SystemRunner {
    clock: Arc<dyn Clock>,
    lock: Option<Arc<OrphanLock>>,
    grace: Duration,
}

impl fmt::Debug for SystemRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemRunner").field("lock", &self.lock).field("grace", &self.grace).finish_non_exhaustive()
    }
}

impl Default for SystemRunner {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), lock: None, grace: Duration::from_secs(5) }
    }
}

impl SystemRunner {
    /// One whose children belong to no upgrade.
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose children hold `lock` and carry the id of its upgrade, so that they can be found and ended when
    /// we are killed.
    #[must_use]
    pub fn acting(mut self, lock: Arc<OrphanLock>) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Measures patience with another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What a command that must stop is given to tidy up before it is killed (5 seconds unless set).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn spawn(&self, invocation: &Invocation, run: &str, reads: bool) -> Result<Child> {
        let mut command = invoke::command(invocation, None)?;
        command
            .env(RUN_MARK, run)
            .stdin(if reads { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0000_0200 | 0x0800_0000);
        if let Some(lock) = &self.lock {
            command.env(UPGRADE_MARK, lock.upgrade().to_string());
            #[cfg(unix)]
            command_fds::CommandFdExt::preserved_fds(&mut command, vec![lock.descriptor()?]);
        }
        command.spawn().map_err(|cause| invoke::not_begun(invocation, &cause))
    }
}

impl Runner for SystemRunner {
    fn pipe(
        &self,
        invocation: &Invocation,
        pipes: Pipes<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        reporter.check()?;
        let run = Uuid::now_v7().to_string();
        let mut child = self.spawn(invocation, &run, pipes.stdin.is_some())?;
        let root = match Identity::of_child(child.id()) {
            Ok(root) => root,
            Err(error) => {
                // Without the table of processes it could never be watched.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let (tell, heard) = mpsc::sync_channel(64);
        let flow = Arc::new(Flow::default());
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

        let has_sink = pipes.stdout.is_some();
        thread::scope(|scope| {
            if let Some(stderr) = stderr {
                listen(stderr, Stream::Errors, tell.clone());
            }
            match (stdout, pipes.stdout) {
                (Some(stdout), Some(sink)) => {
                    let (give, take) = mpsc::sync_channel(8);
                    widen(&stdout);
                    pour(stdout, give, Arc::clone(&flow));
                    let (tell, flow) = (tell.clone(), Arc::clone(&flow));
                    scope.spawn(move || drain(&take, sink, &flow, &tell));
                }
                (Some(stdout), None) => listen(stdout, Stream::Output, tell.clone()),
                (None, _) => {}
            }
            if let (Some(stdin), Some(source)) = (stdin, pipes.stdin) {
                let (tell, flow) = (tell.clone(), Arc::clone(&flow));
                scope.spawn(move || feed(source, stdin, &flow, &tell));
            }
            drop(tell);
            let tree = Tree::of(root, Some((RUN_MARK, &run)));
            let mut watch = Watch::new(self, invocation, patience, signs, reporter, &flow, tree);
            watch.has_sink = has_sink;
            let outcome = watch.until_its_end(&mut child, &heard);
            flow.is_over.store(true, Ordering::Release);
            outcome
        })
    }
}

/// One run, as it is watched.
struct Watch<'a> {
    runner: &'a SystemRunner,
    invocation: &'a Invocation,
    patience: Patience,
    signs: &'a [&'a dyn SignOfWork],
    reporter: &'a dyn Reporter,
    flow: &'a Flow,
    /// The output goes to the caller's stream, who must have all of it or know that it has not.
    has_sink: bool,
    tree: Tree,
    output: (Tail, Lines),
    errors: (Tail, Lines),
    /// Something was printed since the last sample.
    has_spoken: bool,
    begun: Duration,
    sampled: Duration,
    signs_read: Duration,
    /// How long there has been no sign of work.
    idle: Duration,
    work: Work,
    flowed: u64,
    signed: Vec<Option<u64>>,
}

impl<'a> Watch<'a> {
    fn new(
        runner: &'a SystemRunner,
        invocation: &'a Invocation,
        patience: Patience,
        signs: &'a [&'a dyn SignOfWork],
        reporter: &'a dyn Reporter,
        flow: &'a Flow,
        tree: Tree,
    ) -> Self {
        let now = runner.clock.since_boot();
        Self {
            runner,
            invocation,
            patience,
            signs,
            reporter,
            flow,
            has_sink: false,
            tree,
            output: (Tail::of(KEPT_STDOUT), Lines::default()),
            errors: (Tail::of(KEPT_STDERR), Lines::default()),
            has_spoken: false,
            begun: now,
            sampled: now,
            signs_read: now,
            idle: Duration::ZERO,
            work: Work::default(),
            flowed: 0,
            signed: vec![None; signs.len()],
        }
    }

    fn until_its_end(mut self, child: &mut Child, heard: &Receiver<Heard>) -> Result<Finished> {
        match self.wait(child, heard) {
            Ok(code) => {
                let reporter = self.reporter;
                self.errors.1.flush(|line| reporter.say(line));
                if !self.invocation.quiet {
                    self.output.1.flush(|line| reporter.say(line));
                }
                Ok(Finished { code, stdout: self.output.0.into_text(), stderr: self.errors.0.into_text() })
            }
            Err(error) => Err(self.stop(child, heard, error)),
        }
    }

    /// Waits for the end of the command and of its pipes; an error is the reason to stop it.
    fn wait(&mut self, child: &mut Child, heard: &Receiver<Heard>) -> Result<Option<i32>> {
        let clock = Arc::clone(&self.runner.clock);
        let sample_every = self.patience.stall_after.map_or(SAMPLE_EVERY, |it| SAMPLE_EVERY.min(it / 4));
        let mut checked = self.begun;
        let mut pause = Duration::from_millis(1);
        let mut ended: Option<(Option<i32>, Duration)> = None;
        let mut are_open = true;
        loop {
            if are_open {
                match heard.recv_timeout(pause) {
                    Ok(news) => {
                        self.hear(news)?;
                        if let Some((_, silent_since)) = &mut ended {
                            *silent_since = clock.since_boot();
                        }
                        pause = Duration::from_millis(1);
                    }
                    Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(CHECK_EVERY / 2),
                    Err(RecvTimeoutError::Disconnected) => {
                        are_open = false;
                        // Whatever has closed its pipes is about to end.
                        pause = Duration::from_millis(1);
                    }
                }
            } else if ended.is_none() {
                thread::sleep(pause);
                pause = (pause * 2).min(CHECK_EVERY / 2);
            }
            let now = clock.since_boot();
            if ended.is_none() {
                let status = child.try_wait().map_err(|cause| invoke::not_begun(self.invocation, &cause))?;
                ended = status.map(|status| (status.code(), now));
                self.flow.has_ended.store(ended.is_some(), Ordering::Release);
            }
            if let Some((code, silent_since)) = &mut ended {
                if !are_open {
                    return Ok(*code);
                }
                if self.flow.is_busy.load(Ordering::Acquire) {
                    *silent_since = now;
                }
                if now.saturating_sub(*silent_since) >= AFTER_END {
                    return if self.has_sink { Err(left_open(self.invocation)) } else { Ok(*code) };
                }
            }
            if now.saturating_sub(checked) >= CHECK_EVERY {
                checked = now;
                self.reporter.check()?;
                self.is_in_time(now)?;
                if now.saturating_sub(self.sampled) >= sample_every {
                    self.sample(now)?;
                }
            }
        }
    }

    fn hear(&mut self, news: Heard) -> Result<()> {
        let reporter = self.reporter;
        match news {
            Heard::Bytes(Stream::Errors, bytes) => {
                self.errors.0.push(&bytes);
                self.errors.1.push(&bytes, |line| reporter.say(line));
            }
            Heard::Bytes(Stream::Output, bytes) => {
                self.output.0.push(&bytes);
                if !self.invocation.quiet {
                    self.output.1.push(&bytes, |line| reporter.say(line));
                }
            }
            Heard::Broken(doing, cause) => return Err(Error::io(doing, &self.invocation.program, &cause)),
        }
        self.has_spoken = true;
        Ok(())
    }

    fn is_in_time(&self, now: Duration) -> Result<()> {
        if now.saturating_sub(self.begun) < self.patience.deadline {
            return Ok(());
        }
        let name = invoke::name(self.invocation);
        Err(Error::failed("deadline", format!("{name} was not done after {}.", in_words(self.patience.deadline)))
            .remedy("Look at the log for what it was doing. If it needs more time, raise its deadline in the profile."))
    }

    /// Looks for signs of work since the last look.
    fn sample(&mut self, now: Duration) -> Result<()> {
        let gap = now.saturating_sub(self.sampled);
        self.sampled = now;
        let before = std::mem::replace(&mut self.work, self.tree.look());
        let Some(stall_after) = self.patience.stall_after else { return Ok(()) };

        let flowed = self.flow.bytes.load(Ordering::Relaxed);
        let is_moving = std::mem::take(&mut self.has_spoken)
            || std::mem::replace(&mut self.flowed, flowed) != flowed
            || self.work.cpu.saturating_sub(before.cpu) >= WORKING_CPU
            || self.work.bytes.saturating_sub(before.bytes) >= WORKING_BYTES;
        // A machine that slept in between gave the command no time to work either, so a gap counts as short.
        self.idle = if is_moving { Duration::ZERO } else { self.idle + gap.min(4 * SAMPLE_EVERY) };
        let read_every = (stall_after / 10).clamp(Duration::from_millis(100), Duration::from_secs(5));
        if !is_moving && now.saturating_sub(self.signs_read) >= read_every {
            self.signs_read = now;
            if self.read_signs() {
                self.idle = Duration::ZERO;
            }
        }
        if self.idle < stall_after {
            return Ok(());
        }
        let name = invoke::name(self.invocation);
        Err(Error::failed("stalled", format!("{name} showed no sign of work for {}.", in_words(stall_after))).remedy(
            "Look at the log for what it was waiting for. If it works silently, raise “stall_after” in the profile.",
        ))
    }

    /// Whether one of the further signs changed since it was last seen.
    fn read_signs(&mut self) -> bool {
        let mut has_changed = false;
        for (sign, seen) in self.signs.iter().zip(&mut self.signed) {
            if let Some(now) = sign.look() {
                has_changed |= seen.replace(now).is_some_and(|before| before != now);
            }
        }
        has_changed
    }

    /// Ends the whole tree and adds the command's last words to the reason.
    fn stop(mut self, child: &mut Child, heard: &Receiver<Heard>, mut error: Error) -> Error {
        let mut tree = self.tree;
        let survivors = tree.end(self.runner.grace, || {
            // Reaped at once, and listened to, so that it does not wait for a full pipe while it tidies up.
            let _ = child.try_wait();
            while let Ok(news) = heard.try_recv() {
                match news {
                    Heard::Bytes(Stream::Errors, bytes) => self.errors.0.push(&bytes),
                    Heard::Bytes(Stream::Output, bytes) => self.output.0.push(&bytes),
                    Heard::Broken(..) => {}
                }
            }
        });
        let words = self.errors.0.into_text();
        let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(10)..] {
            error = error.detail(printable(line));
        }
        if survivors.is_empty() {
            // It has ended, so this does not wait.
            let _ = child.wait();
        } else {
            error = error.detail(format!("These processes could not be ended: {}.", pids(&survivors)));
        }
        error
    }
}

fn left_open(invocation: &Invocation) -> Error {
    let name = invoke::name(invocation);
    Error::failed("output_incomplete", format!("{name} ended, but something that it started still writes its output."))
        .remedy("Nobody can tell whether the output is whole, so it is not used. Try again.")
}

/// A duration as people say it.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0 => return format!("{} milliseconds", duration.as_millis()),
        1..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        _ => (seconds / 3600, "hour"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}
