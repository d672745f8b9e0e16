//! How far an act of this very process is: a bar on a terminal, nothing elsewhere; its log with `--verbose`.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use liftlock_engine::Result;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::pace::Pace;
use liftlock_engine::ports::{Clock, Reporter, Unit};
use liftlock_engine::secrets::masked;

use crate::screen::Screen;
use crate::text::{duration, safe, size};

/// An ear for progress that draws it.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    pace: Mutex<Pace>,
    says: bool,
}

impl Progress {
    /// Begins to draw under this heading.
    pub(crate) fn begin(screen: &Screen, heading: &'static str) -> Self {
        let bar = screen.can_draw().then(|| {
            let bar = ProgressBar::new(100);
            if let Ok(style) = ProgressStyle::with_template("{prefix:<14} {bar:24} {elapsed}  {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(heading);
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let pace = Mutex::new(Pace::begin(SystemClock.since_boot()));
        Self { bar, pace, says: screen.verbose && !screen.json }
    }
}

impl Progress {
    /// Lets something else write to the terminal meanwhile.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Progress {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        let Some(bar) = &self.bar else { return };
        let said = |amount| match unit {
            Unit::Bytes => size(amount),
            Unit::Rows => format!("{amount} rows"),
            Unit::Files => format!("{amount} files"),
        };
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.since_boot();
        if !pace.moved(now, done, total, unit) {
            return;
        }
        bar.set_position(pace.percent().into());
        let mut told = match total.filter(|it| *it > 0) {
            Some(total) => format!("{} of {}", said(done), said(total)),
            None => said(done),
        };
        if let Some(rate) = pace.rate() {
            told = format!("{told}, {rate}");
        }
        if let Some(left) = pace.seconds_left(now) {
            told = format!("{told}, about {} left", duration(left.round()));
        }
        bar.set_message(told);
    }

    fn part(&self, from: f64, until: f64) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).part(from, until);
    }

    fn say(&self, line: &str) {
        if !self.says {
            return;
        }
        let write = || {
            let _ = writeln!(std::io::stderr(), "  {}", safe(&masked(line)));
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}
