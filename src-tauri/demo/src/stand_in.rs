//! Stands in for an application that is not there: a backend with the manners of FilaOps, for tests of its profile.
//!
//! It says that it is healthy on a database that nobody has migrated, makes missing tables itself when it starts (which
//! the migrations then trip over), and tells another version on its usual address than the one that runs. What a release
//! is like stands in `release.json` of its image.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_postgres::{Client, Config, NoTls};

/// Where a release says what it is like: where it is worked in, or in its image.
const RELEASE: [&str; 2] = ["release.json", "/app/release.json"];

/// What a release is like.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version that it says at `/health`.
    pub version: String,
    /// Its migrations, in their order.
    pub migrations: Vec<Migration>,
    /// What it makes by itself when it starts.
    pub makes: Vec<String>,
    /// Whether its migrations do nothing, and say that all is well.
    #[serde(default)]
    pub skips: Skips,
}

/// When migrations do nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skips {
    /// Never.
    #[default]
    Never,
    /// Always.
    Always,
    /// Except in a rehearsal.
    OnlyForReal,
}

/// One step of the schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Its name.
    pub revision: String,
    /// What it does.
    pub statements: Vec<String>,
    /// What it does besides, except in a rehearsal.
    #[serde(default)]
    pub only_for_real: Vec<String>,
}

/// `alembic current`, `alembic heads`, `alembic upgrade head`, `serve`, `page`, `brief-page`, which ends soon, `ask-health`; in a
/// stack `front`, which says its version, and `door`, which leads to whoever bears a name; and what an installation without
/// Docker is made with and started by: `python3 -m venv`, `pip install`, `npm`, `uvicorn`. `program` is what it was called by.
///
/// # Errors
/// What did not work.
pub fn run(program: &Path, words: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words {
        ["alembic", "current"] => runtime.block_on(current()),
        ["alembic", "heads"] => {
            println!("{} (head)", head(&release()?));
            Ok(())
        }
        ["alembic", "upgrade", "head"] => runtime.block_on(upgrade()),
        ["serve"] | ["uvicorn", "app.main:app", ..] => runtime.block_on(serve()),
        ["python3", "-m", "venv", "--clear", folder] => make_environment(Path::new(folder)),
        ["pip", "install", "--requirement", list] => install(program, list),
        ["npm", "ci"] => Ok(std::fs::create_dir_all("node_modules")?),
        ["npm", "run", "build"] => build_pages(),
        ["page"] => runtime.block_on(listen(80, Router::new().route("/", get(|| async { "FilaOps" })))),
        ["brief-page"] => {
            let page = listen(80, Router::new().route("/", get(|| async { "FilaOps" })));
            let page = async { tokio::time::timeout(Duration::from_millis(1200), page).await };
            runtime.block_on(page).unwrap_or_else(|_| bail!("it has ended"))
        }
        ["front"] => {
            let version = release()?.version;
            let pages = Router::new().route("/health", get(|| async {})).route("/", get(|| async { version }));
            runtime.block_on(listen(8000, pages))
        }
        ["door", to] => runtime.block_on(door(to)),
        ["ask-health"] => ask_health(),
        _ => bail!("it cannot be asked for {words:?}"),
    }
}

/// An environment in which nothing is but what installs into it.
fn make_environment(folder: &Path) -> Result<()> {
    let programs = folder.join("bin");
    if programs.exists() {
        std::fs::remove_dir_all(&programs)?;
    }
    std::fs::create_dir_all(&programs)?;
    link(&programs.join("pip"))
}

/// What a list of requirements names comes beside the program that installs it.
fn install(program: &Path, list: &str) -> Result<()> {
    for name in std::fs::read_to_string(list).context(list.to_owned())?.lines() {
        if !["alembic", "uvicorn"].contains(&name) {
            bail!("No matching distribution found for {name}");
        }
        link(&program.with_file_name(name))?;
    }
    Ok(())
}

fn link(name: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(std::env::current_exe()?, name)?)
}

fn build_pages() -> Result<()> {
    std::fs::create_dir_all("dist")?;
    Ok(std::fs::copy("package.json", "dist/index.html").map(drop)?)
}

fn release() -> Result<Release> {
    let text = std::fs::read(RELEASE[0]).or_else(|_| std::fs::read(RELEASE[1])).context(RELEASE[1])?;
    Ok(serde_json::from_slice(&text)?)
}

fn head(release: &Release) -> &str {
    release.migrations.last().map_or("", |it| &it.revision)
}

async fn database() -> Result<Client> {
    let setting = |name: &str| std::env::var(name).with_context(|| name.to_owned());
    // As FilaOps has it, whose address also names the driver.
    if let Ok(address) = std::env::var("DATABASE_URL") {
        return connected(address.replacen("postgresql+psycopg:", "postgresql:", 1).parse()?).await;
    }
    let mut config = Config::new();
    config.host(setting("DB_HOST")?).port(setting("DB_PORT")?.parse()?).dbname(setting("DB_NAME")?);
    config.user(setting("DB_USER")?).password(setting("DB_PASSWORD")?).connect_timeout(Duration::from_secs(10));
    connected(config).await
}

async fn connected(mut config: Config) -> Result<Client> {
    let (client, connection) = config.connect_timeout(Duration::from_secs(10)).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn revision(client: &Client) -> Result<Option<String>> {
    if client.query_one("SELECT to_regclass('alembic_version') IS NULL", &[]).await?.get(0) {
        return Ok(None);
    }
    Ok(client.query_opt("SELECT version_num FROM alembic_version", &[]).await?.map(|it| it.get(0)))
}

async fn current() -> Result<()> {
    eprintln!("INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.");
    let release = release()?;
    if let Some(revision) = revision(&database().await?).await? {
        // What alembic remarks of a revision that brings two branches together; `heads` does not say it.
        println!("{revision}{}", if revision == head(&release) { " (head) (mergepoint)" } else { "" });
    }
    Ok(())
}

/// All in one transaction, as alembic does where the server can.
async fn upgrade() -> Result<()> {
    let mut client = database().await?;
    let from = revision(&client).await?;
    let release = release()?;
    let known = release.migrations.iter().position(|it| Some(&it.revision) == from.as_ref());
    if from.is_some() && known.is_none() {
        bail!("Can't locate revision identified by {from:?}");
    }
    let is_rehearsal = std::env::var("LIFTLOCK_REHEARSAL").is_ok();
    if release.skips == Skips::Always || (release.skips == Skips::OnlyForReal && !is_rehearsal) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY)")
        .await?;
    for migration in release.migrations.iter().skip(known.map_or(0, |it| it + 1)) {
        eprintln!("INFO  [alembic.runtime.migration] Running upgrade -> {}", migration.revision);
        let besides = migration.only_for_real.iter().filter(|_| !is_rehearsal);
        for statement in migration.statements.iter().chain(besides) {
            transaction.batch_execute(statement).await.map_err(|error| match error.as_db_error() {
                Some(said) => anyhow::anyhow!("sqlalchemy.exc.ProgrammingError: {}", said.message()),
                None => error.into(),
            })?;
        }
        transaction.batch_execute("DELETE FROM alembic_version").await?;
        transaction.execute("INSERT INTO alembic_version VALUES ($1)", &[&migration.revision]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn serve() -> Result<()> {
    let release = release()?;
    let client = database().await?;
    for statement in &release.makes {
        client.batch_execute(statement).await?;
    }
    let health = move || {
        let version = release.version.clone();
        async move { health(&version).await }
    };
    // What it tells here is read from a checkout that may be at any version.
    let lie = || async { json!({ "version": "9.9.9" }).to_string() };
    let pages = Router::new().route("/health", get(health)).route("/api/v1/system/version", get(lie));
    let listener = match std::env::var("UVICORN_FD") {
        Ok(number) => crate::socket::given(&number)?,
        Err(_) => bound(std::env::var("UVICORN_PORT").map_or(Ok(8000), |it| it.parse())?).await?,
    };
    answer(listener, pages).await
}

async fn health(version: &str) -> impl IntoResponse + use<> {
    let is_reached = match database().await {
        Ok(client) => client.batch_execute("SELECT 1").await.is_ok(),
        Err(_) => false,
    };
    let (status, said, code) = match is_reached {
        true => ("healthy", "ok", StatusCode::OK),
        false => ("unhealthy", "failed", StatusCode::SERVICE_UNAVAILABLE),
    };
    let body = json!({ "status": status, "checks": { "database": said }, "version": version }).to_string();
    (code, [(CONTENT_TYPE, "application/json")], body)
}

async fn bound(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(("0.0.0.0", port)).await
}

async fn listen(port: u16, pages: Router) -> Result<()> {
    answer(bound(port).await?, pages).await
}

async fn answer(listener: TcpListener, pages: Router) -> Result<()> {
    let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = async { axum::serve(listener, pages).await } => Ok(done?),
        _ = asked.recv() => Ok(()),
    }
}

/// As a proxy before the services of a stack: each visitor is led to whoever bears that name at the moment.
async fn door(to: &str) -> Result<()> {
    let listener = bound(8000).await?;
    let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        let mut visitor = tokio::select! {
            came = listener.accept() => came?.0,
            _ = asked.recv() => return Ok(()),
        };
        let to = to.to_owned();
        tokio::spawn(async move {
            if let Ok(mut stream) = tokio::net::TcpStream::connect(&to).await {
                let _ = tokio::io::copy_bidirectional(&mut visitor, &mut stream).await;
            }
        });
    }
}

fn ask_health() -> Result<()> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(("127.0.0.1", 8000))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("it is not healthy") }
}
