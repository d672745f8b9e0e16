//! `liftlock-demo`: brings up an outside world for Liftlock and judges what became of it.
//!
//! Every command prints one JSON document on standard output, also when it fails.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use liftlock_demo::bring_down;
use liftlock_demo::bring_up::{self, Wanted};
use liftlock_demo::cluster;
use liftlock_demo::content;
use liftlock_demo::detached::{self, Identity};
use liftlock_demo::docker::{Docker, images, room};
use liftlock_demo::fault::{self, Asked};
use liftlock_demo::place::Place;
use liftlock_demo::publish;
use liftlock_demo::server;
use liftlock_demo::shopper;
use serde_json::{Value, json};

/// Corner Shop, its PostgreSQL, its release server and its shopper, in one folder.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct In {
    /// The demo's folder
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything, made first where there is nothing
    Up {
        #[command(flatten)]
        at: In,
        /// Release to install in a new demo
        #[arg(long, default_value = "1.0.0")]
        release: String,
        /// Orders to begin with in a new demo
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(i64).range(0..10_000_000))]
        orders: i64,
        /// Start PostgreSQL and the release server only
        #[arg(long)]
        no_shop: bool,
        /// Make a new demo as a project of Docker Compose, on the engine that `docker` reaches
        #[arg(long)]
        compose: bool,
        /// Build the images of that from a checkout of git
        #[arg(long, requires = "compose")]
        built: bool,
        /// Deploy that as a stack of Docker Swarm; the engine must be a manager
        #[arg(long, requires = "compose", conflicts_with = "built")]
        stack: bool,
    },
    /// Make releases visible on the release server
    Publish {
        #[command(flatten)]
        at: In,
        /// Versions, for example 1.1.0
        #[arg(required = true)]
        versions: Vec<String>,
        /// Mark them as pre-releases
        #[arg(long)]
        prerelease: bool,
        /// Mark them as drafts
        #[arg(long)]
        draft: bool,
        /// Push them to the branch `main` only, without a tag
        #[arg(long)]
        untagged: bool,
        /// Let their images take so many seconds to be built
        #[arg(long)]
        build_seconds: Option<u32>,
    },
    /// Count and hash every table and the uploads
    Hash {
        #[command(flatten)]
        at: In,
        /// Another database of the same server
        #[arg(long, default_value = "corner_shop")]
        database: String,
        /// Only the orders that were there before anybody shopped
        #[arg(long)]
        seeded: bool,
    },
    /// Place orders without pause, then prove what became of each
    Shop {
        #[command(flatten)]
        at: In,
        /// For how long; 0 until `shop-stop` or a signal
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Orders a second
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rate: u32,
        /// Also stop when standard input is closed
        #[arg(long, conflicts_with = "background")]
        with_caller: bool,
        /// Return as soon as the first order is through
        #[arg(long)]
        background: bool,
    },
    /// End a shopper in the background and print its answer
    ShopStop {
        #[command(flatten)]
        at: In,
    },
    /// Make the release server or the shop misbehave
    Fault {
        #[command(flatten)]
        at: In,
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// Say what runs
    Status {
        #[command(flatten)]
        at: In,
    },
    /// End everything
    Down {
        #[command(flatten)]
        at: In,
        /// Kill everything at once, as a power cut does
        #[arg(long)]
        hard: bool,
        /// Delete the folder afterwards
        #[arg(long)]
        remove: bool,
    },
    /// Wait until standard input is closed, then end everything: for a caller that may be killed
    #[command(hide = true)]
    Guard {
        #[command(flatten)]
        at: In,
    },
    /// Keep a Docker engine of its own until standard input is closed: for a caller that may be killed
    #[command(hide = true)]
    KeepDocker {
        /// Group that may use it too
        #[arg(long)]
        group: Option<u32>,
    },
    /// Make the images on which a stand-in for FilaOps is built, on the engine that `docker` reaches
    #[command(hide = true)]
    StandInImages {
        /// The programs of a newer PostgreSQL, for an image of it too
        #[arg(long)]
        newer: Option<PathBuf>,
    },
    /// Serve releases until ended
    #[command(hide = true)]
    ServeReleases {
        #[command(flatten)]
        at: In,
    },
    /// Become another program in a session of its own
    #[command(hide = true)]
    Launch {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if let Command::Launch { program, arguments } = &command {
        if let Err(error) = detached::launch(program, arguments) {
            eprintln!("{error:#}");
        }
        return ExitCode::FAILURE;
    }
    // Its caller may be gone, and nobody reads a last word.
    if let Command::KeepDocker { group } = command {
        return match room::keep(group) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("liftlock-demo: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let (answer, code) = match run(command) {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("liftlock-demo: {error:#}");
            (json!({ "error": format!("{error:#}") }), ExitCode::FAILURE)
        }
    };
    println!("{answer:#}");
    code
}

fn run(command: Command) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = |at: &In| Place::at(&at.dir);
    match command {
        Command::Up { at, release, orders, no_shop, compose, built, stack } => {
            let wanted = Wanted { release, orders, shop: !no_shop, compose, built, stack };
            runtime.block_on(bring_up::up(&place(&at)?, &wanted))
        }
        Command::Publish { at, versions, prerelease, draft, untagged, build_seconds } => {
            let place = place(&at)?;
            let facts = place.facts()?;
            let marks = publish::Marks { prerelease, draft, untagged, build_seconds };
            let published = publish::publish(&place, &versions, marks)?;
            for version in &versions {
                publish::image(&facts, version.trim_start_matches('v'), 0)?;
            }
            let versions: Vec<_> = published.iter().map(|it| &it.version).collect();
            Ok(json!({ "published": versions, "releases_url": facts.releases_url() }))
        }
        Command::Hash { at, database, seeded } => {
            let place = place(&at)?;
            let content = runtime.block_on(content::content(&place, &place.facts()?, &database, seeded))?;
            Ok(serde_json::to_value(content)?)
        }
        Command::Shop { at, seconds, rate, with_caller, background } => {
            let wanted = shopper::Wanted { seconds: (seconds > 0).then_some(seconds), rate, with_caller };
            let place = place(&at)?;
            if background { shopper::start(&place, wanted) } else { runtime.block_on(shopper::shop(&place, wanted)) }
        }
        Command::ShopStop { at } => shopper::stop(&place(&at)?),
        Command::Fault { at, asked } => fault::fault(&place(&at)?, &asked),
        Command::Status { at } => status(&place(&at)?),
        Command::Down { at, hard, remove } => bring_down::down(&place(&at)?, hard, remove),
        Command::Guard { at } => {
            // Whatever ends the caller closes its end; nothing is ever written.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            bring_down::down(&place(&at)?, true, true)
        }
        Command::ServeReleases { at } => runtime.block_on(server::serve(place(&at)?)).map(|()| Value::Null),
        Command::StandInImages { newer } => {
            let docker = Docker::from_environment();
            let database = images::database(&docker)?;
            let newer = newer.map(|it| images::newer_database(&docker, &it)).transpose()?;
            images::stand_in(&docker)?;
            Ok(json!({ "database": database, "newer": newer, "base": images::STAND_IN }))
        }
        Command::Launch { .. } | Command::KeepDocker { .. } => Ok(Value::Null),
    }
}

fn status(place: &Place) -> Result<Value> {
    let runs = |path: &Path| Identity::in_file(path).is_some();
    let facts = place.facts()?;
    let mut answer = bring_up::describe(place, &facts)?;
    let releases = runs(&place.releases().join("server.json"));
    answer["running"] = match &facts.project {
        None => {
            json!({ "postgres": cluster::is_running(place), "releases": releases, "shop": runs(&place.shop_process()) })
        }
        Some(project) => {
            let services = project.running()?;
            let is_up = |name: &str| services.as_array().is_some_and(|it| it.iter().any(|it| it == name));
            json!({ "postgres": is_up("db"), "releases": releases, "shop": is_up("shop") })
        }
    };
    Ok(answer)
}
