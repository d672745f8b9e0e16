//! Watching an upgrade to its end. The watcher reads the database and changes nothing; ending it ends nothing.
//!
//! On a terminal it draws a bar, elsewhere it prints a line for each change, with `--json` a status document for
//! each change; the last document is the final one.

use std::time::{Duration, Instant};

use chrono::Local;
use indicatif::{ProgressBar, ProgressStyle};
use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use liftlock_engine::view::UpgradeStatus;
use liftlock_engine::{Engine, Error, Result};

use crate::commands::print_upgrade;
use crate::screen::{Line, Screen, Style};
use crate::text::{duration, safe};
use crate::words::label;

/// How often the database is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nobody may work on an unfinished upgrade before the watcher says so.
const GRACE: Duration = Duration::from_secs(3);
/// A log that is not a terminal gets at most one line in this time while the phase stays the same.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// As a shell counts a program that was ended by Ctrl-C.
pub(crate) const STOPPED_WATCHING: u8 = 130;

/// Whose upgrade is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watching {
    /// One that this command has started: when its worker ends before its time, another one goes on.
    Own,
    /// One that it only looks at.
    Others,
}

/// How often a worker that has ended before its time is replaced, in one watching.
const RESUMES: u32 = 3;

/// Watches until the end, until Ctrl-C, or until nobody reads any more; answers with the exit code of the outcome.
pub(crate) fn follow(engine: &Engine, screen: &Screen, id: UpgradeId, whose: Watching) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Error::failed("io", "The update could not be watched.")
            .remedy(format!("It goes on. `liftlock status --upgrade {id}` shows how far it is."))
            .because(&cause)
    })?;
    runtime.block_on(watch(engine, screen, id, whose))
}

async fn watch(engine: &Engine, screen: &Screen, mut id: UpgradeId, whose: Watching) -> Result<u8> {
    // Listened for before the first word is printed: whoever sees it may press Ctrl-C at once.
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Then Ctrl-C ends this process, which is as good.
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(ctrl_c);
    tokio::select! { biased; () = &mut ctrl_c => {} () = std::future::ready(()) => {} }
    let mut display = Display::new(screen);
    let mut shown: Option<UpgradeStatus> = None;
    let mut last_log_line = 0;
    let mut alone_since: Option<Instant> = None;
    let mut resumed = 0;
    loop {
        let status = engine.upgrade_status(id)?;
        if shown.as_ref().is_none_or(|it| is_news(it, &status)) {
            display.show(&status);
        }
        if screen.verbose && !screen.json {
            for (number, _, line) in engine.log(id, last_log_line, 500)? {
                display.log(&line);
                last_log_line = number;
            }
        }
        if status.state.is_final() {
            display.end(&status);
            let Some(next) = engine.next_hop(id)?.filter(|_| status.state == State::Complete) else {
                if whose == Watching::Own {
                    until_the_worker_is_gone(engine, &status).await?;
                }
                return Ok(status.exit_code());
            };
            // It was a stop on the way, and the watching goes on with the upgrade.
            (id, shown, last_log_line, alone_since) = (next, None, 0, None);
            display = Display::new(screen);
            continue;
        }
        if screen.is_closed() {
            return Ok(0);
        }
        if status.active {
            alone_since = None;
        } else if alone_since.get_or_insert_with(Instant::now).elapsed() > GRACE {
            alone_since = None;
            if whose == Watching::Others || resumed == RESUMES {
                display.clear();
                return Err(interrupted(engine, id));
            }
            resumed += 1;
            display
                .aside(&format!("The worker has ended before its time; another one goes on ({resumed} of {RESUMES})."));
            engine.resume(Some(id))?;
        }
        shown = Some(status);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = &mut ctrl_c => {
                display.clear();
                screen.aside("The update goes on; only the watching has ended.");
                screen.aside(format!("  → `liftlock status --follow --upgrade {id}` watches it again, `liftlock cancel {id}` stops it."));
                return Ok(STOPPED_WATCHING);
            }
        }
    }
}

/// The next command of a script must not find the worker that is just about to leave.
async fn until_the_worker_is_gone(engine: &Engine, status: &UpgradeStatus) -> Result<()> {
    let begun = Instant::now();
    while engine.is_worked_on(&status.installation)? && begun.elapsed() < GRACE {
        tokio::time::sleep(LOOK / 10).await;
    }
    Ok(())
}

fn interrupted(engine: &Engine, id: UpgradeId) -> Error {
    let error = Error::failed("interrupted", "Nobody works on this update now.")
        .remedy(format!("`liftlock resume {id}` goes on with it."));
    engine.last_words(id).into_iter().fold(error, Error::detail)
}

/// The seconds of being away grow by themselves and are no news.
fn is_news(before: &UpgradeStatus, now: &UpgradeStatus) -> bool {
    UpgradeStatus { away_seconds: None, ..before.clone() } != UpgradeStatus { away_seconds: None, ..now.clone() }
}

struct Display<'a> {
    screen: &'a Screen,
    bar: Option<ProgressBar>,
    phase: Option<(State, Instant)>,
    last_line: Option<Instant>,
}

impl<'a> Display<'a> {
    fn new(screen: &'a Screen) -> Self {
        let bar = screen.can_draw().then(|| {
            let bar = ProgressBar::new(100);
            if let Ok(style) = ProgressStyle::with_template("{prefix:<14} {bar:24} {pos:>3} %  {elapsed}  {wide_msg}") {
                bar.set_style(style);
            }
            // The seconds go on even where nothing can be measured.
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self { screen, bar, phase: None, last_line: None }
    }

    fn show(&mut self, status: &UpgradeStatus) {
        if self.screen.json {
            // The final one is printed at the end, so that it is the last line in any case.
            if !status.state.is_final() {
                self.screen.document(status);
            }
            return;
        }
        let new_phase = self.phase.is_none_or(|(state, _)| state != status.state);
        if new_phase {
            self.leave_phase();
            self.phase = Some((status.state, Instant::now()));
        }
        if status.state.is_final() || self.screen.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(label(status.state));
                bar.set_position(u64::from(status.progress));
                bar.set_message(safe(&status.message));
            }
            None if new_phase || self.last_line.is_none_or(|it| it.elapsed() >= LINE_EVERY) => {
                self.last_line = Some(Instant::now());
                self.screen.line(format!(
                    "{} {:>3} %  {}: {}",
                    Local::now().format("%H:%M:%S"),
                    status.progress,
                    label(status.state),
                    status.message
                ));
            }
            None => {}
        }
    }

    /// On a terminal a finished phase stays as a line above the bar.
    fn leave_phase(&self) {
        if let (Some(bar), Some((state, since))) = (&self.bar, self.phase)
            && state != State::Pending
        {
            let took = duration(since.elapsed().as_secs_f64());
            bar.suspend(|| self.screen.note(Line::from(format!("{:<14} ", label(state))).and(Style::Muted, took)));
        }
    }

    fn log(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.screen.note(Line::new(Style::Muted, format!("  {line}")))),
            None => self.screen.note(Line::new(Style::Muted, format!("  {line}"))),
        }
    }

    /// A line beside the answer.
    fn aside(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.screen.aside(line)),
            None => self.screen.aside(line),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn end(&self, status: &UpgradeStatus) {
        self.clear();
        if self.screen.json { self.screen.document(status) } else { print_upgrade(self.screen, status) }
    }
}
