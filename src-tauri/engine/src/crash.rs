//! Named points at which a test may end the worker, as a power cut would: SIGKILL to itself.
//!
//! Only in builds with the feature `crash-points`. `LIFTLOCK_CRASH_AT` names a point as
//! `forward/set_aside:database/mid_effect`; a `#2` behind it means its second passing. Every point that is
//! passed is written to the file that `LIFTLOCK_CRASH_LOG` names, so that a test can tell that none was left out.

/// Where in the life of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is written down yet.
    BeforeIntent,
    /// The intent is on disk, the world is untouched.
    AfterIntent,
    /// Half of the effect.
    MidEffect,
    /// The effect is there, nobody has recorded it.
    AfterEffect,
    /// All recorded.
    AfterOutcome,
}

impl Moment {
    /// The name in a point.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeIntent => "before_intent",
            Self::AfterIntent => "after_intent",
            Self::MidEffect => "mid_effect",
            Self::AfterEffect => "after_effect",
            Self::AfterOutcome => "after_outcome",
        }
    }
}

/// Passes a point.
#[cfg(feature = "crash-points")]
pub fn point(direction: &str, step: &str, moment: Moment) {
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    static PASSED: AtomicU32 = AtomicU32::new(0);
    let name = format!("{direction}/{step}/{}", moment.as_str());
    if let Some(log) = std::env::var_os("LIFTLOCK_CRASH_LOG")
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(log)
    {
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
    let Ok(wanted) = std::env::var("LIFTLOCK_CRASH_AT") else { return };
    let (point, nth) = wanted.split_once('#').map_or((wanted.as_str(), 1), |(it, n)| (it, n.parse().unwrap_or(1)));
    if point == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == nth {
        die();
    }
}

#[cfg(all(feature = "crash-points", unix))]
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is delivered before the call returns; this is never reached.
    std::process::abort()
}

#[cfg(all(feature = "crash-points", not(unix)))]
fn die() -> ! {
    std::process::abort()
}

/// Passes a point: nothing in a shipped binary.
#[cfg(not(feature = "crash-points"))]
pub fn point(_direction: &str, _step: &str, _moment: Moment) {}
