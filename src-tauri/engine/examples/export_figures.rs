//! What an export costs, as JSON on standard output; `cargo xtask bench export` runs it on a release build.
//!
//! `measure DIR ROWS [ROUNDS]` fills a table of orders in a server of its own and measures writing it in each form beside
//! `psql \copy` of the same rows in the same run; then a fifth of them is brought into another database beside `\copy … FROM`.
//! `write DIR PORT FORM` is one export of ours in a process of its own, so that its memory can be told: writing it, and reading
//! it back, which never is left out. `bring DIR PORT` is one import, with every row on record so that it can be taken back.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use liftlock_engine::clock::SystemClock;
use liftlock_engine::export::manifest::{BytesForm, FileFormat};
use liftlock_engine::export::{Request, export, open};
use liftlock_engine::import::{lay_down, read, ready, suggest::suggest};
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::intake::Run;
use serde_json::{Map, Value, json};

#[path = "../../../tests/support/cluster.rs"]
mod cluster;
mod figures;

use cluster::{Cluster, PASSWORD, SUPERUSER};
use figures::{Outcome, ROUNDS, median, peak_mb, rounded};

const DATABASE: &str = "shop";
/// A fifth of it, and where that is brought.
const PART: &str = "part";
const PEERS: &str = "peers";
const OURS: &str = "ours";
const COPY: &str = "SELECT id, customer_id, reference, note, total, paid, placed_at, day FROM orders";
const TABLE: &str = "CREATE TABLE public.orders (id bigint PRIMARY KEY, customer_id int NOT NULL, reference text NOT NULL, note text, \
    total numeric(12,2) NOT NULL, paid boolean NOT NULL, placed_at timestamptz NOT NULL, day date NOT NULL)";
const FORMS: [&str; 3] = ["csv", "jsonl", "xlsx"];

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let told = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", dir, rows] => measure(Path::new(dir), rows.parse()?, ROUNDS)?,
        ["measure", dir, rows, rounds] => measure(Path::new(dir), rows.parse()?, rounds.parse()?)?,
        ["write", dir, port, form] => write(Path::new(dir), port.parse()?, DATABASE, form)?,
        ["bring", dir, port] => bring(Path::new(dir), port.parse()?)?,
        _ => return Err("usage: export_figures measure DIR ROWS [ROUNDS]".into()),
    };
    println!("{told:#}");
    Ok(())
}

fn measure(dir: &Path, rows: u64, often: usize) -> Outcome<Value> {
    let cluster = figures::server(dir)?;
    let admin = figures::client(cluster.port)?;
    for (database, rows) in [(DATABASE, rows), (PART, rows / 5)] {
        admin.connect("postgres")?.run(&format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        let mut inside = admin.connect(database)?;
        for statement in [
            TABLE.to_owned(),
            format!(
                "INSERT INTO public.orders SELECT n, n % 9973, 'R-' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE repeat('no, te ', n % 9) END, \
                 (n % 1000000) / 100.0, n % 2 = 0, '2020-01-01Z'::timestamptz + n * interval '7 seconds', \
                 '2020-01-01'::date + n % 2000 FROM generate_series(1, {rows}) AS s(n)"
            ),
            "VACUUM ANALYZE public.orders".to_owned(),
            "CHECKPOINT".to_owned(),
        ] {
            inside.run_watched(&statement, Duration::from_secs(3600), &mut || Ok(()))?;
        }
    }
    let mut rounds = Vec::new();
    for round in 0..often {
        let dir = dir.join(format!("round-{round}"));
        fs::create_dir(&dir)?;
        let mut told = Map::new();
        told.insert("copy".to_owned(), copied(&cluster, DATABASE, &dir.join("copy.csv"))?);
        let port = cluster.port.to_string();
        for form in FORMS {
            told.insert(form.to_owned(), apart("write", &dir, &[&port, form])?);
        }
        for database in [PEERS, OURS] {
            admin.connect("postgres")?.run(&format!("DROP DATABASE IF EXISTS {database}"))?;
            admin.connect("postgres")?.run(&format!("CREATE DATABASE {database} TEMPLATE template0"))?;
            admin.connect(database)?.run(TABLE)?;
        }
        let part = dir.join("part.csv");
        copied(&cluster, PART, &part)?;
        told.insert("copy_from".to_owned(), copied_in(&cluster, &part)?);
        told.insert("import".to_owned(), apart("bring", &dir, &[&port])?);
        fs::remove_dir_all(&dir)?;
        rounds.push(Value::Object(told));
    }
    let median = |form: &str, figure: &str| median(rounds.iter().filter_map(|it| it[form][figure].as_f64()));
    let copy = median("copy", "seconds");
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rows_a_second = |seconds: f64| (rows as f64 / seconds).round();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rows_in = (rows / 5) as f64;
    let mut told = json!({ "rows": rows, "copy_rows_a_second": rows_a_second(copy) });
    for form in FORMS {
        told[form] = json!({
            "rows_a_second": rows_a_second(median(form, "write_seconds")),
            "to_copy": rounded(copy / median(form, "write_seconds")),
            "checked_rows_a_second": rows_a_second(median(form, "seconds")),
            "peak_mb": median(form, "peak_mb"),
        });
    }
    let came_in = median("import", "seconds");
    told["import"] = json!({
        "rows": rows_in,
        "rows_a_second": (rows_in / came_in).round(),
        "to_copy_from": rounded(median("copy_from", "seconds") / came_in),
        "peak_mb": median("import", "peak_mb"),
    });
    told["rounds"] = rounds.into();
    told["limits"] = json!({ "csv_to_copy": 0.9, "jsonl_to_copy": 0.6, "peak_mb": 64 });
    Ok(told)
}

/// What this program answers to other words, in a process of its own.
fn apart(verb: &str, dir: &Path, more: &[&str]) -> Outcome<Value> {
    let ours = Command::new(env::current_exe()?).arg(verb).arg(dir).args(more).stderr(Stdio::inherit()).output()?;
    if !ours.status.success() {
        return Err(format!("{verb} {more:?} ended with {}", ours.status).into());
    }
    Ok(serde_json::from_slice(&ours.stdout)?)
}

/// What `psql` itself makes of the same rows.
fn copied(cluster: &Cluster, database: &str, file: &Path) -> Outcome<Value> {
    let begun = Instant::now();
    psql(cluster, database, &format!("\\copy ({COPY}) TO '{}' WITH (FORMAT csv, HEADER)", file.display()))?;
    // As durable as ours is.
    fs::File::open(file)?.sync_all()?;
    Ok(json!({ "seconds": rounded(begun.elapsed().as_secs_f64()), "bytes": file.metadata()?.len() }))
}

/// How it brings them in.
fn copied_in(cluster: &Cluster, file: &Path) -> Outcome<Value> {
    let begun = Instant::now();
    psql(cluster, PEERS, &format!("\\copy orders FROM '{}' WITH (FORMAT csv, HEADER)", file.display()))?;
    Ok(json!({ "seconds": rounded(begun.elapsed().as_secs_f64()) }))
}

fn psql(cluster: &Cluster, database: &str, command: &str) -> Outcome<()> {
    let status = Command::new(cluster.bin.join("psql"))
        .args(["--no-psqlrc", "--quiet", "--command", command])
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster.port.to_string())
        .env("PGUSER", SUPERUSER)
        .env("PGPASSWORD", PASSWORD)
        .env("PGDATABASE", database)
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("psql ended with {status}").into()) }
}

/// One import of what is exported first, and what this process needed for both.
fn bring(dir: &Path, port: u16) -> Outcome<Value> {
    write(dir, port, PART, "csv")?;
    let folder = dir.join(format!("{PART}-csv"));
    let manifest = open(&folder)?;
    let begun = Instant::now();
    let mut into = figures::store(port, OURS).intake()?.ok_or("nothing can come into it")?;
    let mapping = suggest(&manifest, &into.tables()?, &[]);
    let (entities, needed) = ready(&mapping, &manifest, &into.tables()?, &[])?;
    for number in needed {
        let exported = &manifest.entities[number];
        let input = read::choose(&folder, &manifest, exported, &Silent)?;
        lay_down(into.as_mut(), number, &input, exported, &Silent)?;
    }
    let run = Run { id: "figures".into(), source: manifest.source() };
    let mut inserted = 0;
    for entity in &entities {
        inserted += into.bring_in(&run, entity, false, &Silent)?.inserted;
    }
    into.end()?;
    if inserted != manifest.entities.iter().map(|it| it.rows).sum::<u64>() {
        return Err(format!("{inserted} rows came in").into());
    }
    Ok(json!({ "rows": inserted, "seconds": rounded(begun.elapsed().as_secs_f64()), "peak_mb": peak_mb()? }))
}

/// One export, and what this process needed for it.
fn write(dir: &Path, port: u16, database: &str, form: &str) -> Outcome<Value> {
    let format = match form {
        "csv" => FileFormat::Csv,
        "jsonl" => FileFormat::JsonLines,
        "xlsx" => FileFormat::Xlsx,
        other => return Err(format!("there is no form {other}").into()),
    };
    let store = figures::store(port, database);
    let request = Request {
        into: &dir.join(if database == DATABASE { form.to_owned() } else { format!("{database}-{form}") }),
        application: "Shop",
        installation: "shop",
        version: None,
        declared: &[],
        only: &[],
        everything: true,
        formats: &[format],
        separator: ',',
        bytes: BytesForm::Hex,
        zip: false,
    };
    let heard = Heard { begun: Instant::now(), checked: Mutex::new(None) };
    let manifest = export(&request, &[&store], &SystemClock, &heard)?;
    let whole = heard.begun.elapsed().as_secs_f64();
    let checked = heard.checked.lock().unwrap_or_else(PoisonError::into_inner).ok_or("it was not read back")?;
    Ok(json!({
        "rows": manifest.entities.iter().map(|it| it.rows).sum::<u64>(),
        "seconds": rounded(whole),
        "write_seconds": rounded(checked.as_secs_f64()),
        "bytes": manifest.entities.iter().flat_map(|it| &it.files).map(|it| it.bytes).sum::<u64>(),
        "peak_mb": peak_mb()?,
    }))
}

/// Hears when what was written is read back.
struct Heard {
    begun: Instant,
    checked: Mutex<Option<Duration>>,
}

impl Reporter for Heard {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {}
    fn say(&self, line: &str) {
        if line.starts_with("reading ") {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            checked.get_or_insert(self.begun.elapsed());
        }
    }
    fn check(&self) -> liftlock_engine::Result<()> {
        Ok(())
    }
}
