//! Named points at which a test may end the worker, as a power cut would (SIGKILL to itself), or freeze it.
//!
//! Only in builds with the feature `crash-points`. `LIFTLOCK_CRASH_AT` names points, with commas between them, as
//! `forward/set_aside:database/mid_effect`. `LIFTLOCK_CRASH_LOG` names a file to which every point that is passed
//! is written as `passed …`, and as `died …` where the worker ends: it dies at each point once, whichever of a
//! row of workers gets there, so that a test can kill a whole upgrade point by point and tell that none was left out.
//! `LIFTLOCK_FREEZE_AT` names points at which it stops in the same way (SIGSTOP, written as `froze …`) until someone
//! lets it go on.

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

    let name = format!("{direction}/{step}/{}", moment.as_str());
    let Some(log) = std::env::var_os("LIFTLOCK_CRASH_LOG") else { return };
    let before = std::fs::read_to_string(&log).unwrap_or_default();
    let happens = |variable: &str, word: &str| {
        let wanted = std::env::var(variable).unwrap_or_default();
        wanted.split(',').any(|it| it == name) && !before.lines().any(|it| it == format!("{word} {name}"))
    };
    let (dies, freezes) = (happens("LIFTLOCK_CRASH_AT", "died"), happens("LIFTLOCK_FREEZE_AT", "froze"));
    let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(&log) else { return };
    let word = if dies {
        "died"
    } else if freezes {
        "froze"
    } else {
        "passed"
    };
    let _ = file.write_all(format!("{word} {name}\n").as_bytes()).and_then(|()| file.sync_all());
    if dies {
        die();
    }
    if freezes {
        freeze();
    }
}

#[cfg(all(feature = "crash-points", unix))]
fn freeze() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

#[cfg(all(feature = "crash-points", not(unix)))]
fn freeze() {}

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
