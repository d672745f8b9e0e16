//! The program that is double-clicked. Everything is in the library beside it.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    liftlock_desktop::run()
}
