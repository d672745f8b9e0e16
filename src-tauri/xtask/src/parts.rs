//! A task is a list of parts. Each says when it begins and how long it took, a failing one does not hide the
//! ones after it, and the list at the end tells the whole story to whoever reads only the end of a log.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What the parts of a task came to, in the order in which they ran.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    done: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    took: Duration,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    /// It held, with what it has to say for itself.
    Held(String),
    /// It failed, and why.
    Failed(String),
}

impl Parts {
    /// Runs one part; an error is told and remembered. Answers whether it held.
    pub(crate) fn part(&mut self, name: &str, act: impl FnOnce() -> Result<String>) -> bool {
        eprintln!("\n── {name}");
        let begun = Instant::now();
        let outcome = match act() {
            Ok(said) => Outcome::Held(said),
            Err(error) => {
                eprintln!("failed: {error:#}");
                Outcome::Failed(format!("{error:#}"))
            }
        };
        let took = begun.elapsed();
        eprintln!("── {name}: {:.1} s", took.as_secs_f64());
        let held = matches!(outcome, Outcome::Held(_));
        self.done.push(Part { name: name.to_owned(), took, outcome });
        held
    }

    /// Prints the list of all parts and answers whether every one held.
    pub(crate) fn close(self) -> bool {
        eprintln!();
        let mut all_held = true;
        for part in &self.done {
            let (mark, said) = match &part.outcome {
                Outcome::Held(said) => ("ok    ", said.as_str()),
                Outcome::Failed(why) => {
                    all_held = false;
                    ("FAILED", why.lines().next().unwrap_or_default())
                }
            };
            eprintln!(
                "{mark} {:>7.1} s  {}",
                part.took.as_secs_f64(),
                [part.name.as_str(), said].join("  ").trim_end()
            );
        }
        all_held
    }
}
