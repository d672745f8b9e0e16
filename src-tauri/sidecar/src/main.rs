//! The binary `liftlock`: the worker and the command line. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    liftlock_cli::run(std::env::args_os())
}
