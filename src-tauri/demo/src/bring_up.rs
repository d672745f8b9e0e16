//! From an empty folder to a shop that serves; from a stopped demo to one that runs.
//!
//! A demo that is already there is never changed, only started.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use serde_json::{Value, json};

use crate::archive::{self, Form};
use crate::catalogue;
use crate::cluster;
use crate::detached::{self, Identity};
use crate::docker::project::Project;
use crate::http::{self, Ended};
use crate::place::{self, Facts, Place};
use crate::publish;
use crate::seed;

/// Corner Shop's profile as Liftlock has it; only the address of its releases is another one here.
const PROFILE: &str = include_str!("../../engine/profiles/corner-shop.toml");

/// What `up` is asked for.
#[derive(Debug)]
pub struct Wanted {
    /// Release to install, in a new demo.
    pub release: String,
    /// Orders to begin with, in a new demo.
    pub orders: i64,
    /// Whether the shop is to run.
    pub shop: bool,
    /// Whether a new demo runs in containers.
    pub compose: bool,
    /// Whether the images of that are built from a checkout.
    pub built: bool,
    /// Whether it is deployed as a stack of Docker Swarm.
    pub stack: bool,
}

/// Brings a demo up and says where everything is.
///
/// # Errors
/// Something does not start.
pub async fn up(place: &Place, wanted: &Wanted) -> Result<Value> {
    let begun = Instant::now();
    if !place.is_there() {
        create(place, wanted).await.with_context(|| format!("cannot make a demo in {}", place.root.display()))?;
    }
    let facts = place.facts()?;
    match &facts.project {
        None => cluster::start(place, facts.postgres_port)?,
        Some(project) => project.start(place, &facts, wanted.shop)?,
    }
    start_releases(place, &facts).await?;
    if wanted.shop && facts.project.is_none() {
        start_shop(place, &facts).await?;
    }
    if wanted.shop {
        answers(facts.shop_port, "/health", "the shop").await?;
    }
    let mut answer = describe(place, &facts)?;
    answer["seconds"] = json!((begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    Ok(answer)
}

/// Where everything of a demo is; no passwords.
///
/// # Errors
/// The installed release cannot be read.
pub fn describe(place: &Place, facts: &Facts) -> Result<Value> {
    let project = facts.project.as_ref();
    Ok(json!({
        "app_url": facts.app_url(),
        "releases_url": facts.releases_url(),
        "database": format!("postgres://corner_shop@127.0.0.1:{}/corner_shop", facts.postgres_port),
        "install_dir": place.shop(),
        "profile": place.profile(),
        "admin_url_file": place.admin_url_file(),
        "env_file": place.shop().join(".env"),
        "postgres_port": facts.postgres_port,
        "shop_port": facts.shop_port,
        "release": project.map_or_else(|| installed(place), |it| it.installed(place))?,
        "project": project.map(|it| &it.name),
        "docker_host": project.and_then(|it| it.docker.host.as_ref()),
        "orders": facts.seeded_orders,
    }))
}

/// The release that `current` points to.
///
/// # Errors
/// There is none.
pub fn installed(place: &Place) -> Result<String> {
    let file = place.shop().join("current/VERSION");
    Ok(fs::read_to_string(&file).with_context(|| file.display().to_string())?.trim().to_owned())
}

async fn create(place: &Place, wanted: &Wanted) -> Result<()> {
    let release =
        catalogue::find(&wanted.release).with_context(|| format!("there is no Corner Shop {}", wanted.release))?;
    fs::create_dir_all(&place.root)?;
    ensure!(
        fs::read_dir(&place.root)?.next().is_none(),
        "the folder holds something else, or a demo that was interrupted: choose an empty one"
    );
    let mut facts = Facts {
        postgres_port: place::free_port()?,
        shop_port: place::free_port()?,
        releases_port: place::free_port()?,
        admin_password: place::secret(),
        shop_password: place::secret(),
        seeded_orders: wanted.orders,
        project: wanted.compose.then(|| Project::new(wanted.built, wanted.stack)),
    };
    if let Some(project) = &facts.project {
        let made = create_project(place, wanted, &facts, project, &release).await;
        if made.is_err() {
            // Nothing of it is a demo; the containers would be looked for in vain.
            let _ = project.down(place, true, true);
        }
        return made;
    }
    cluster::create(place, &facts.admin_password)?;
    // Somebody else may take the port between the question and the start.
    for attempt in 1.. {
        match cluster::start(place, facts.postgres_port) {
            Ok(()) => break,
            Err(error) if attempt == 5 => return Err(error),
            Err(_) => facts.postgres_port = place::free_port()?,
        }
    }
    let made = async {
        cluster::furnish(&facts).await?;
        install(place, &facts, &release)?;
        migrate(place)?;
        if !release.behaviour.second_shop {
            seed::fill(&facts, wanted.orders).await?;
        }
        seed::upload(&place.shop().join("data/uploads"))?;
        publish::publish(place, std::slice::from_ref(&wanted.release), publish::Marks::default())?;
        place::write_private(&place.admin_url_file(), format!("{}\n", facts.admin_url()).as_bytes())?;
        fs::write(place.profile(), profile(PROFILE, &facts)?)?;
        // Last: whatever was interrupted before is no demo.
        place.write_facts(&facts)
    };
    let made = made.await;
    if made.is_err() {
        cluster::stop(place)?;
    }
    made
}

/// The same shop in containers: its files, its database begun by the database's image, then the first migration.
async fn create_project(
    place: &Place,
    wanted: &Wanted,
    facts: &Facts,
    project: &Project,
    release: &catalogue::Release,
) -> Result<()> {
    project.install(place, facts, release)?;
    project.start(place, facts, false)?;
    cluster::furnish(facts).await?;
    project.migrate(place)?;
    if !release.behaviour.second_shop {
        seed::fill(facts, wanted.orders).await?;
    }
    seed::upload(&place.shop().join("data/uploads"))?;
    publish::publish(place, std::slice::from_ref(&wanted.release), publish::Marks::default())?;
    fs::write(place.profile(), profile(&project.profile(facts), facts)?)?;
    place.write_facts(facts)
}

fn install(place: &Place, facts: &Facts, release: &catalogue::Release) -> Result<()> {
    let shop = place.shop();
    for folder in ["releases", "data/uploads", "run", "logs"] {
        fs::create_dir_all(shop.join(folder))?;
    }
    archive::unpacked(release, &shop.join("releases").join(release.version), Form::Program)?;
    std::os::unix::fs::symlink(Path::new("releases").join(release.version), shop.join("current"))?;
    let mut env = format!(
        "# Corner Shop\nSHOP_PORT={}\nSHOP_BIND=127.0.0.1\nDATABASE_URL={}\nUPLOADS_DIR=data/uploads\n",
        facts.shop_port,
        facts.shop_database_url()
    );
    if release.behaviour.needs.iter().any(|it| it == "SHOP_CURRENCY") {
        env.push_str("SHOP_CURRENCY=EUR\n");
    }
    place::write_private(&shop.join(".env"), env.as_bytes())
}

fn migrate(place: &Place) -> Result<()> {
    let done = std::process::Command::new(place.shop().join("current/bin/corner-shop"))
        .arg("migrate")
        .env("SHOP_HOME", place.shop())
        .current_dir(place.shop())
        .output()?;
    ensure!(done.status.success(), "the first migration failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

/// The limits of a demo, in which nobody wants to wait ten minutes until something that hangs is stopped. The silent
/// work of 1.7.0 takes longer than the first, so that it shows that work is told from standing still.
const LIMITS: [(&str, &str); 2] = [("stall_after", "15s"), ("start_within", "20s")];

/// The profile, with the release server of this demo in it and the limits of a demo.
fn profile(of: &str, facts: &Facts) -> Result<String> {
    let mut section = "";
    let mut replaced = 0;
    let lines: Vec<String> = of
        .lines()
        .map(|line| {
            if line.starts_with('[') {
                section = line.trim();
            }
            let key = line.split('=').next().unwrap_or_default().trim();
            if section == "[releases]" && key == "api" {
                replaced += 1;
                return format!("api = \"{}\"", facts.releases_url());
            }
            match LIMITS.iter().find(|(limit, _)| section == "[limits]" && key == *limit) {
                Some((limit, short)) => {
                    replaced += 1;
                    format!("{limit} = \"{short}\"")
                }
                None => line.to_owned(),
            }
        })
        .collect();
    ensure!(replaced == 1 + LIMITS.len(), "the profile of Corner Shop lacks a line that a demo has to replace");
    Ok(lines.join("\n") + "\n")
}

async fn start_releases(place: &Place, facts: &Facts) -> Result<()> {
    let file = place.releases().join("server.json");
    if Identity::in_file(&file).is_none() {
        let root = place.root.to_str().context("the folder's name is no text")?;
        let program = std::env::current_exe()?;
        let log = place.releases().join("server.log");
        let process = detached::start(&program, &["serve-releases", "--dir", root], &place.root, &log)?;
        place::write_private(&file, &serde_json::to_vec(&process)?)?;
    }
    answers(facts.releases_port, "/repos/corner-shop/corner-shop", "the release server").await
}

/// Starts the installed release as Liftlock's native driver would, and waits until it is healthy.
async fn start_shop(place: &Place, facts: &Facts) -> Result<()> {
    let file = place.shop_process();
    if Identity::in_file(&file).is_none() {
        let shop = place.shop();
        let program = shop.join("current/bin/corner-shop");
        let process = detached::start(&program, &["serve"], &shop, &shop.join("logs/shop.log"))?;
        place::write_private(&file, &serde_json::to_vec(&process)?)?;
    }
    answers(facts.shop_port, "/health", "the shop").await
}

async fn answers(port: u16, path: &str, who: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let ended = http::send(port, Method::GET, path, Default::default(), Duration::from_secs(5)).await;
        let last = match ended {
            Ended::Answered(200, _) => return Ok(()),
            Ended::Answered(status, body) => format!("{status} {}", String::from_utf8_lossy(&body)),
            Ended::NotSent(error) | Ended::Unknown(error) => format!("{error:#}"),
        };
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("{who} does not answer on port {port}: {last}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
