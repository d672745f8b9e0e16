//! Stands in for FilaOps in tests, under the names by which its commands are called.

use std::process::ExitCode;

use liftlock_demo::stand_in;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let mut words: Vec<&str> = words.iter().map(|it| it.rsplit('/').next().unwrap_or_default()).collect();
    if words.first() != Some(&"alembic") {
        words.remove(0);
    }
    match stand_in::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", words.first().unwrap_or(&"stand-in"));
            ExitCode::FAILURE
        }
    }
}
