//! Somebody who looks at every command line on the machine while workers work: a password there would be
//! anybody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Looks until dropped.
pub(crate) struct Eavesdropper {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Eavesdropper {
    pub(crate) fn on(secrets: &[String]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, secrets) = (Arc::clone(&is_over), secrets.to_vec());
        let thread = thread::spawn(move || {
            let mut heard = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let seen = super::processes().into_iter().map(|(_, line)| line);
                heard.extend(seen.filter(|line| secrets.iter().any(|it| line.contains(it.as_str()))));
                thread::sleep(Duration::from_millis(60));
            }
            heard
        });
        Self { is_over, thread: Some(thread) }
    }

    /// The command lines that gave a secret away.
    pub(crate) fn heard(mut self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(|it| it.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Eavesdropper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
