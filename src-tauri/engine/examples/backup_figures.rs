//! What a backup costs, as JSON on standard output; `cargo xtask bench backup` runs it on a release build.
//!
//! `measure DIR LINES [ROUNDS]` fills a database like that of an ERP in a server of its own and measures backing it up, proving it,
//! restoring it and setting it aside, each beside PostgreSQL's own tools in the same run. `take`, `read`, `prove` and `restore` are
//! one act of ours each, in a process of its own, so that its memory can be told.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use liftlock_engine::backups::{self, Backup, BackupKind, Request};
use liftlock_engine::clock::SystemClock;
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::Silent;
use liftlock_engine::seal::Keys;
use liftlock_engine::stores::{DataStore, Place};
use serde_json::{Value, json};

#[path = "../../../tests/support/cluster.rs"]
mod cluster;
#[path = "../../../tests/support/erp.rs"]
mod erp;
mod figures;

use cluster::{Cluster, PASSWORD, SUPERUSER};
use figures::{Outcome, ROUNDS, client, median, peak_mb, rounded, store};

const DATABASE: &str = "erp";

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let told = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", dir, lines] => Bench::prepare(Path::new(dir), lines.parse()?)?.measure(ROUNDS)?,
        ["measure", dir, lines, rounds] => Bench::prepare(Path::new(dir), lines.parse()?)?.measure(rounds.parse()?)?,
        ["take", dir, port] => of_this_process(|| take(Path::new(dir), port.parse()?))?,
        ["read", dir, port] => of_this_process(|| read(Path::new(dir), port.parse()?))?,
        ["prove", dir, port] => of_this_process(|| prove(Path::new(dir), port.parse()?))?,
        ["restore", dir, port] => of_this_process(|| restore(Path::new(dir), port.parse()?))?,
        _ => return Err("usage: backup_figures measure DIR LINES [ROUNDS]".into()),
    };
    println!("{told:#}");
    Ok(())
}

/// The server, the database in it, and a folder that both sides write into.
struct Bench {
    cluster: Cluster,
    dir: PathBuf,
    lines: u64,
}

impl Bench {
    fn prepare(dir: &Path, lines: u64) -> Outcome<Self> {
        let cluster = figures::server(dir)?;
        let admin = client(cluster.port)?;
        admin
            .connect("postgres")?
            .run(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"))?;
        let mut inside = admin.connect(DATABASE)?;
        for statement in
            erp::WHOLE.by_admin.iter().map(|it| (*it).to_owned()).chain(erp::statements(lines, &erp::WHOLE))
        {
            inside.run_watched(&statement, Duration::from_secs(3600), &mut || Ok(()))?;
        }
        inside.run("CHECKPOINT")?;
        Ok(Self { cluster, dir: dir.to_owned(), lines })
    }

    fn measure(&self, often: usize) -> Outcome<Value> {
        let disk = store(self.cluster.port, DATABASE).size(&Silent)?;
        let mut rounds: Vec<Value> = Vec::new();
        for round in 0..often {
            rounds.push(self.round(&self.dir.join(format!("round-{round}")))?);
        }
        let median =
            |path: &[&str]| median(rounds.iter().filter_map(|it| path.iter().fold(it, |at, key| &at[*key]).as_f64()));
        let seconds = |name: &str| median(&[name, "seconds"]);
        let took = seconds("take");
        let bytes = median(&["take", "bytes"]);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let gigabytes = disk as f64 / 1e9;
        Ok(json!({
            "lines": self.lines,
            "database_bytes": disk,
            "rounds": rounds,
            "backup": {
                "seconds": took,
                "peak_mb": median(&["take", "peak_mb"]),
                "to_pg_dump_to_nowhere": ratio(took, seconds("pg_dump_to_nowhere")),
                "to_pg_dump_gzip": ratio(took, seconds("pg_dump_gzip")),
                "to_pg_dump_custom": ratio(took, seconds("pg_dump_custom")),
                "to_pg_dump_directory_j2": ratio(took, seconds("pg_dump_directory_j2")),
                "bytes_to_pg_dump_gzip": ratio(bytes, median(&["pg_dump_gzip", "bytes"])),
            },
            "reading": { "seconds": seconds("read"), "to_the_backup": ratio(seconds("read"), took) },
            "proof": {
                "seconds": seconds("prove"),
                "to_a_full_restore": ratio(seconds("prove"), seconds("gunzip_pg_restore")),
                "rows_seconds": median(&["prove", "rows_seconds"]),
                "rows_to_a_full_restore": ratio(median(&["prove", "rows_seconds"]), seconds("gunzip_pg_restore")),
            },
            "restore": {
                "seconds": seconds("restore"),
                "to_gunzip_pg_restore": ratio(seconds("restore"), seconds("gunzip_pg_restore")),
                "to_pg_restore_j2": ratio(seconds("restore"), seconds("pg_restore_j2")),
            },
            "set_aside": {
                "seconds_per_gb": ratio(seconds("template_copy"), gigabytes),
                "to_cp_and_sync": ratio(seconds("template_copy"), seconds("cp_and_sync")),
            },
            "limits": {
                "to_pg_dump_to_nowhere": 1.75, "to_pg_dump_gzip": 0.20, "bytes_to_pg_dump_gzip": 1.10, "peak_mb": 64, "reading_to_the_backup": 0.35,
                "rows_to_a_full_restore": 0.65, "set_aside_to_cp_and_sync": 1.2
            },
        }))
    }

    /// Everything once, one after the other.
    fn round(&self, dir: &Path) -> Outcome<Value> {
        fs::create_dir(dir)?;
        let at = |name: &str| dir.join(name).display().to_string();
        let dump = |args: &[&str]| self.tool("pg_dump", &[args, &[DATABASE]].concat());
        let nowhere = timed(&mut [dump(&["--file=/dev/null"])], None)?;
        let gzip = timed(&mut [dump(&[]), plain("gzip", &["-6"])], Some(&dir.join("plain.sql.gz")))?;
        let custom = timed(&mut [dump(&["--format=custom", "--file", &at("custom")])], Some(&dir.join("custom")))?;
        let directory = timed(
            &mut [dump(&["--format=directory", "--jobs=2", "--file", &at("directory")])],
            Some(&dir.join("directory")),
        )?;
        let taken = self.ours("take", dir)?;
        let read = self.ours("read", dir)?;
        let proven = self.ours("prove", dir)?;
        let made = only_backup(dir)?;
        let file = made.path.join(&made.dumped("main")?.file).display().to_string();

        self.again("by_pipe")?;
        let into = |name: &str| format!("--dbname={name}");
        let by_pipe =
            timed(&mut [plain("gunzip", &["-c", &file]), self.tool("pg_restore", &[&into("by_pipe")])], None)?;
        self.again("by_two")?;
        let by_two = timed(&mut [self.tool("pg_restore", &["--jobs=2", &into("by_two"), &at("custom")])], None)?;
        for database in ["by_pipe", "by_two"] {
            self.run(&format!("DROP DATABASE {database}"))?;
        }
        let restored = self.ours("restore", dir)?;

        // What the acts before have left in memory is no part of these.
        self.run("CHECKPOINT")?;
        timed(&mut [plain("sync", &[])], None)?;
        let begun = Instant::now();
        self.run(&format!("CREATE DATABASE aside TEMPLATE {DATABASE} STRATEGY file_copy"))?;
        let template = json!({ "seconds": rounded(begun.elapsed().as_secs_f64()) });
        self.run("DROP DATABASE aside")?;
        let folder = self.folder_of_the_database()?;
        let copied = timed(&mut [plain("cp", &["-a", &folder, &at("copy")])], None)?;
        let synced = timed(&mut [plain("sync", &["-f", &at("copy")])], None)?;
        let copied = json!({ "seconds": rounded(number(&copied, "seconds") + number(&synced, "seconds")) });
        fs::remove_dir_all(dir)?;
        Ok(json!({
            "pg_dump_to_nowhere": nowhere, "pg_dump_gzip": gzip, "pg_dump_custom": custom, "pg_dump_directory_j2": directory,
            "take": taken, "read": read, "prove": proven, "gunzip_pg_restore": by_pipe, "pg_restore_j2": by_two, "restore": restored,
            "template_copy": template, "cp_and_sync": copied,
        }))
    }

    /// One act of ours, told by the process that did it.
    fn ours(&self, act: &str, dir: &Path) -> Outcome<Value> {
        let told = Command::new(env::current_exe()?)
            .arg(act)
            .arg(dir)
            .arg(self.cluster.port.to_string())
            .stderr(Stdio::inherit())
            .output()?;
        if !told.status.success() {
            return Err(format!("{act} ended with {}", told.status).into());
        }
        Ok(serde_json::from_slice(&told.stdout)?)
    }

    fn tool(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.cluster.bin.join(name));
        command.args(args).env("PGHOST", "127.0.0.1").env("PGPORT", self.cluster.port.to_string());
        command.env("PGUSER", SUPERUSER).env("PGPASSWORD", PASSWORD);
        command
    }

    fn again(&self, database: &str) -> Outcome<()> {
        self.run(&format!("CREATE DATABASE {database} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"))
    }

    fn run(&self, statement: &str) -> Outcome<()> {
        let admin = client(self.cluster.port)?;
        Ok(admin.connect("postgres")?.run_watched(statement, Duration::from_secs(3600), &mut || Ok(()))?)
    }

    fn folder_of_the_database(&self) -> Outcome<String> {
        #[derive(serde::Deserialize)]
        struct Row {
            oid: u32,
        }
        let admin = client(self.cluster.port)?;
        let row: Row = admin
            .connect("postgres")?
            .one(&format!("SELECT oid::int8 FROM pg_database WHERE datname = '{DATABASE}'"))?;
        Ok(self.cluster.dir.join("data/base").join(row.oid.to_string()).display().to_string())
    }
}

fn take(dir: &Path, port: u16) -> Outcome<Value> {
    let request = Request {
        root: &dir.join("backups"),
        installation: &"erp".parse()?,
        application: "ERP",
        version: Some("1.0.0"),
        kind: BackupKind::Manual,
        note: "",
        keys: &Keys::default(),
    };
    let backup = backups::create(&request, &[&store(port, DATABASE)], &SystemClock, &Silent)?;
    Ok(json!({ "bytes": backup.bytes() }))
}

fn read(dir: &Path, port: u16) -> Outcome<Value> {
    let (backup, keys) = (only_backup(dir)?, Keys::default());
    let trust = backups::read_through(&backup, &[&store(port, DATABASE)], dir, &keys, &SystemClock, &Silent)?;
    Ok(json!({ "grade": trust.grade }))
}

fn prove(dir: &Path, port: u16) -> Outcome<Value> {
    let backup = only_backup(dir)?;
    let scratch = dir.join("scratch");
    fs::create_dir(&scratch)?;
    fs::set_permissions(&scratch, std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let heard = Heard { begun: Instant::now(), rows: Mutex::default() };
    let trust = backups::prove(&backup, &[&store(port, DATABASE)], &scratch, &Keys::default(), &SystemClock, &heard)?;
    let rows = heard.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(json!({ "grade": trust.grade, "rows_seconds": rounded(rows.as_secs_f64()) }))
}

/// Hears when all rows are there: the archive is read to its end then, and indexes are next.
struct Heard {
    begun: Instant,
    rows: Mutex<Duration>,
}

impl Reporter for Heard {
    fn moved(&self, _done: u64, _total: Option<u64>, unit: Unit) {
        if unit == Unit::Bytes {
            *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = self.begun.elapsed();
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> liftlock_engine::Result<()> {
        Ok(())
    }
}

fn restore(dir: &Path, port: u16) -> Outcome<Value> {
    let backup = only_backup(dir)?;
    let store = store(port, DATABASE);
    let aside = store.plan_aside("1")?;
    store.restore_next(&aside, backup.dumped("main")?, &backup.path, &Silent)?;
    let Place::Postgres { database, .. } = store.next_place(&aside)? else {
        return Err("a database has no path".into());
    };
    let admin = client(port)?;
    admin.connect("postgres")?.run(&format!("DROP DATABASE \"{database}\" WITH (FORCE)"))?;
    Ok(json!({}))
}

fn only_backup(dir: &Path) -> Outcome<Backup> {
    Ok(backups::list(&dir.join("backups"))?.0.pop().ok_or("no backup")?)
}

/// What an act took, and the most memory that this process held for it.
fn of_this_process(act: impl FnOnce() -> Outcome<Value>) -> Outcome<Value> {
    let begun = Instant::now();
    let mut told = act()?;
    told["seconds"] = json!(rounded(begun.elapsed().as_secs_f64()));
    told["peak_mb"] = json!(peak_mb()?);
    told["cpu_seconds"] = json!(rounded(spent("/proc/self/stat", 11)? + spent("/proc/self/stat", 13)?));
    Ok(told)
}

/// Processes in a row, each fed by the one before; the last writes to the file unless it writes it itself.
fn timed(row: &mut [Command], file: Option<&Path>) -> Outcome<Value> {
    let before = spent("/proc/self/stat", 13)?;
    let begun = Instant::now();
    let mut running = Vec::new();
    let mut feeds = Stdio::null();
    let count = row.len();
    for (index, command) in row.iter_mut().enumerate() {
        let is_last = index + 1 == count;
        command.stdin(feeds);
        command.stdout(match file {
            _ if !is_last => Stdio::piped(),
            Some(file) if count > 1 => fs::File::create(file)?.into(),
            _ => Stdio::null(),
        });
        let mut child = command.spawn()?;
        feeds = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        running.push(child);
    }
    for mut child in running {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("{row:?} ended with {status}").into());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({
        "seconds": rounded(seconds),
        "cpu_seconds": rounded(spent("/proc/self/stat", 13)? - before),
        "bytes": file.map(weight).transpose()?,
    }))
}

/// Seconds of processor time in two fields of a process's row, user and system.
fn spent(stat: &str, at: usize) -> Outcome<f64> {
    let row = fs::read_to_string(stat)?;
    let fields: Vec<&str> = row.rsplit_once(')').ok_or("no row")?.1.split_whitespace().collect();
    Ok((fields[at].parse::<f64>()? + fields[at + 1].parse::<f64>()?) / 100.0)
}

fn weight(path: &Path) -> Outcome<u64> {
    if !path.is_dir() {
        return Ok(path.metadata()?.len());
    }
    fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + entry?.metadata()?.len()))
}

fn plain(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args);
    command
}

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().unwrap_or(f64::NAN)
}

fn ratio(one: f64, other: f64) -> f64 {
    rounded(one / other)
}
