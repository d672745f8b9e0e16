//! The tasks of this repository. `cargo xtask <task>` is the only thing a contributor or a build machine calls;
//! every task installs what it misses and says what it does.

mod away;
mod bench;
mod bindings;
mod bundle;
mod check;
mod demo;
mod desktop;
mod docker;
mod icons;
mod machine;
mod parts;
mod postgres;
mod run;
mod targets;
mod test;
mod ui;
mod window;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::parts::Parts;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The tasks of this repository", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Formatting, lints, layers, licences and unit tests: what every commit must pass
    Check {
        /// Type-check the engine and the command line for Windows and macOS instead
        #[arg(long)]
        targets: bool,
    },
    /// The window's types, made out of the engine's views
    Bindings,
    /// Write the reference of commands and documents anew, out of the program itself
    Docs,
    /// Every size of the icons, drawn from their SVG sources
    Icons,
    /// Everything that is tested, installing what is missing
    Test {
        /// Also the sampled faults in full: hours, not minutes
        #[arg(long)]
        long: bool,
        /// Only tests whose name contains this; nothing but tests is run then
        filter: Option<String>,
    },
    /// The window on a sample shop with an update waiting, taken away again when it is quit
    Demo {
        /// The whole story without a window: a shop is upgraded while customers order, and given every bad release
        #[arg(long)]
        headless: bool,
        /// Keep the demo's folder also when all went well
        #[arg(long, requires = "headless")]
        keep: bool,
        /// Only this release
        #[arg(long, requires = "headless", value_name = "VERSION")]
        only: Option<String>,
    },
    /// The packages of this system, in target/release/bundle
    Bundle {
        /// Only these kinds: deb, rpm, appimage, dmg, msi, nsis
        #[arg(value_name = "KIND")]
        kinds: Vec<String>,
        /// Installs the .deb on this computer, plays the window's first journey with it, and removes it again
        #[arg(long)]
        install: bool,
    },
    /// Figures as JSON in target/bench, each beside a peer in the same run
    Bench {
        /// Only this group
        name: Option<String>,
        /// With programs of the dev profile and a small shop: whether it works, not how fast
        #[arg(long)]
        trial: bool,
    },
}

fn main() -> ExitCode {
    match begin(&Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out one task; `false` where a part of it failed and said so.
fn begin(task: &Task) -> Result<bool> {
    // Relative paths of tests, configuration and Cargo all start at the workspace.
    std::env::set_current_dir(run::workspace())?;
    let mut parts = Parts::default();
    match task {
        Task::Check { targets: false } => check::all(&mut parts),
        Task::Check { targets: true } => targets::check(&mut parts),
        Task::Bindings => bindings::write()?,
        Task::Icons => icons::draw(&run::workspace())?,
        Task::Docs => {
            parts.part("reference of commands and documents", || {
                run::run(run::cargo().args(["run", "-q", "-p", "liftlock", "--example", "reference", "--", "docs"]))?;
                Ok("docs/commands.md, docs/json.md".to_owned())
            });
        }
        Task::Test { long, filter } => test::all(&mut parts, *long, filter.as_deref())?,
        Task::Demo { headless: false, .. } => window::open(&mut parts),
        Task::Demo { headless: true, keep, only } => demo::tell(&mut parts, *keep, only.as_deref()),
        Task::Bundle { kinds, install } => bundle::make(&mut parts, kinds, *install),
        Task::Bench { name, trial } => bench::measure(&mut parts, name.as_deref(), bench::Size::of(*trial))?,
    }
    Ok(parts.close())
}
