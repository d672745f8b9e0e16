//! Stands in for FilaOps in tests, under the names by which its commands are called.

use std::path::Path;
use std::process::ExitCode;

use liftlock_demo::stand_in;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let program = Path::new(words.first().map_or("stand-in", String::as_str));
    let name = program.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    // Its own name says nothing of what is wanted.
    let asked: Vec<&str> = [name].into_iter().filter(|it| *it != "stand-in").collect();
    let asked: Vec<&str> = asked.into_iter().chain(words.iter().skip(1).map(String::as_str)).collect();
    match stand_in::run(program, &asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
