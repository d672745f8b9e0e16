//! How far an act of this very process is: a bar on a terminal, nothing elsewhere; its log with `--verbose`.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use liftlock_engine::Result;
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::secrets::masked;

use crate::screen::Screen;
use crate::text::{safe, size};

/// An ear for progress that draws it.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
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
        Self { bar, says: screen.verbose && !screen.json }
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
        match total.filter(|it| *it > 0) {
            Some(total) => {
                bar.set_position(u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(100).min(100));
                bar.set_message(format!("{} of {}", said(done), said(total)));
            }
            None => bar.set_message(said(done)),
        }
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
