//! Work that lets others go first.

use std::panic::resume_unwind;
use std::thread;

use crate::error::{Error, Result};

/// As `nice` does without an argument.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Does something, and whatever it starts, behind everybody else who wants the processor: the application is up and people
/// work with it. On Linux; elsewhere it is done as everything is.
///
/// # Errors
/// Those of `act`; `no_thread` where the system gives none.
pub fn gently<T: Send>(act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    // A thread that stood back may not come forward again, so it is one that ends with the work. What it starts inherits.
    thread::scope(|scope| {
        let done = thread::Builder::new().name("gently".to_owned()).spawn_scoped(scope, || {
            stand_back();
            act()
        });
        let done = done.map_err(|cause| {
            Error::failed("no_thread", "The system lets no more work begin.")
                .remedy("Close other programs, then try again.")
                .because(&cause)
        })?;
        done.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(target_os = "linux")]
fn stand_back() {
    // Of this thread alone. Whoever may not is not slower for it.
    if let Err(cause) = rustix::process::setpriority_process(None, NICER) {
        tracing::debug!("work is done as everything is: {cause}");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    fn nice_of(stat: &str) -> Option<i32> {
        stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
    }

    fn own() -> Option<i32> {
        nice_of(&std::fs::read_to_string("/proc/thread-self/stat").ok()?)
    }

    #[test]
    fn the_work_and_what_it_starts_stand_back_and_nobody_else_does() {
        let before = own();
        let (within, started) = gently(|| {
            let started = Command::new("cat").arg("/proc/self/stat").output().unwrap().stdout;
            Ok((own(), nice_of(&String::from_utf8(started).unwrap())))
        })
        .unwrap();
        assert_eq!((within, started), (Some(NICER), Some(NICER)));
        assert!(before.is_some() && own() == before);
        assert_eq!(gently(|| Err::<(), _>(Error::failed("told", "It is told."))).unwrap_err().class, "told");
    }
}
