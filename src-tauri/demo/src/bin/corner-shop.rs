//! Corner Shop itself: `serve`, `migrate`, `schema-version`, `ask-health`.

use std::process::ExitCode;

use liftlock_demo::shop;

const USAGE: &str = "usage: corner-shop serve | migrate | schema-version | ask-health | version";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match (arguments.next().as_deref(), arguments.next()) {
        (Some("serve"), None) => shop::serve(),
        (Some("migrate"), None) => shop::migrate(),
        (Some("schema-version"), None) => shop::schema_version(),
        (Some("ask-health"), None) => shop::ask_health(),
        (Some("version" | "--version"), None) => shop::version(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corner-shop: {error:#}");
            ExitCode::FAILURE
        }
    }
}
