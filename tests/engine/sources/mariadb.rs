//! MariaDB as a source, as it is installed on this machine.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use liftlock_engine::error::{Error, Result};
use liftlock_engine::export::manifest::FileFormat;
use liftlock_engine::model::profile::Endpoint;
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::stores::mysql::MysqlSource;
use liftlock_engine::stores::tables::{Holds, Row, Source};

use crate::alone;
use crate::mariadb_server::{Mariadb, PASSWORD, USER, shared};
use crate::support::{column, entity, exported, exported_while, of, place, rows, rows_in, texts};

fn endpoint(database: &str) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".into(),
        port: shared().port,
        database: database.into(),
        user: USER.into(),
        password: Some(PASSWORD.into()),
        parameters: Vec::new(),
    }
}

fn made(endpoint: Endpoint) -> MysqlSource {
    let private = tempfile::tempdir().unwrap().keep();
    MysqlSource::new("old-database", endpoint, &private, Arc::new(SystemRunner::new()))
}

fn source(sql: &str) -> (String, MysqlSource) {
    let name = shared().database(sql);
    let source = made(endpoint(&name));
    (name, source)
}

const NASTY: &str = "SET sql_mode = '', time_zone = '+02:00';
    CREATE TABLE nasty (id BIGINT UNSIGNED PRIMARY KEY, t LONGTEXT, n DECIMAL(60,30), f FLOAT, d DOUBLE, yes BOOLEAN, small TINYINT(1), \
      bits BIT(12), flag BIT, bytes LONGBLOB, fixed BINARY(4), doc JSON, loose JSON, day DATE, at DATETIME(6), stamp TIMESTAMP(3) NULL, \
      clock TIME(2), y YEAR, mood ENUM('so ''so''', '=good', ''), many SET('a', 'b'), zero INT(6) ZEROFILL, u UUID, ip INET6, \
      half BIGINT AS (id DIV 2) STORED, twice VARCHAR(40) AS (concat(id, id)) VIRTUAL, place POINT, \
      old VARCHAR(20) CHARACTER SET latin1, `odd ``name` INT) DEFAULT CHARSET utf8mb4;
    INSERT INTO nasty (id, t) VALUES (1, NULL), (2, ''), (3, 'NULL'), (4, 'a\\r\\nb\\tc\\\\N\\0d'), (5, '=1+1'), (6, '\"quoted\"'), \
      (7, '''=x'), (8, '-5'), (9, '@SUM(A1)'), (10, '🚀 Ōsaka'), (11, repeat('ä', 50000));
    UPDATE nasty SET t = replace(t, char(0), '') WHERE id = 4;
    INSERT INTO nasty (id, n, f, d, yes, small, bits, flag, bytes, fixed, doc, loose, day, at, stamp, clock, y, mood, many, zero, u, ip, place, old, `odd ``name`) VALUES
      (18446744073709551615, '123456789012345678901234567890.123456789012345678900000000000', 0.1, 0.1, 1, 2, b'000010101111', b'1', \
       x'00ff0a0d5c27', 'ab', '{\"a\": 1.10, \"a\": 2}', '[1,\n2]', '0000-00-00', '2026-03-29 02:30:00.123456', '2026-03-29 03:30:00.5', \
       '-838:59:59.25', 2026, '=good', 'a,b', 42, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1', point(1, 2), 'Łódź ü', -1),
      (12, '-0.000000000000000000000000000001', 16777216, -1e300, 0, 0, b'0', b'0', '', '', 'null', '\"x\"', '2026-00-00', \
       '0000-00-00 00:00:00', '0000-00-00 00:00:00', '00:00:00', 0, '', '', 0, NULL, '::ffff:10.0.0.1', NULL, '', 0);
    CREATE TABLE quiet (n INT) ENGINE = MyISAM;";

#[test]
fn every_type_comes_out_exact_and_is_read_back() {
    let (_, source) = source(NASTY);
    let (_home, into) = place();
    let manifest = exported(&source, &into).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    let nasty = of(&manifest, "nasty");
    assert!(nasty.source.starts_with("MariaDB 1"), "{}", nasty.source);
    assert_eq!((nasty.rows, nasty.key.as_slice()), (13, &["id".to_owned()][..]));
    assert_eq!(nasty.columns[0].sum.as_deref(), Some("18446744073709551693"), "no sum overflows");
    let generated: Vec<&str> = nasty.columns.iter().filter(|it| it.generated).map(|it| it.column.as_str()).collect();
    assert_eq!(generated, ["half", "twice"]);
    let held = |name: &str| nasty.columns.iter().find(|it| it.column == name).unwrap().holds;
    use Holds::{Boolean, Integer, Json, Number, Text};
    let names = ["id", "n", "f", "yes", "small", "bits", "flag", "bytes", "doc", "loose", "y", "zero", "mood"];
    let holds = [Integer, Number, Number, Boolean, Integer, Text, Boolean, Text, Json, Text, Integer, Integer, Text];
    assert_eq!(names.map(held), holds, "2 is no truth, and JSON of two lines is text");

    let t = column(&into, &manifest, "nasty", "t");
    assert_eq!(t[..4], texts(&[None, Some(""), Some("NULL"), Some("a\r\nb\tc\\Nd")]));
    let formulas = [Some("=1+1"), Some("\"quoted\""), Some("'=x"), Some("-5"), Some("@SUM(A1)"), Some("🚀 Ōsaka")];
    assert_eq!(t[4..10], texts(&formulas));
    assert_eq!(t[10].as_ref().map(|it| it.chars().count()), Some(50_000));
    // The smaller and the larger of the two that have everything.
    let both = |name: &str| {
        let all = column(&into, &manifest, "nasty", name);
        [all[11].clone(), all[12].clone()].map(|it| it.unwrap_or_else(|| "nothing".to_owned()))
    };
    let expected: &[(&str, [&str; 2])] = &[
        ("id", ["12", "18446744073709551615"]),
        ("n", ["-0.000000000000000000000000000001", "123456789012345678901234567890.123456789012345678900000000000"]),
        // What single precision makes of 0.1, whole.
        ("f", ["16777216", "0.10000000149011612"]),
        ("d", ["-1e300", "0.1"]),
        ("yes", ["f", "t"]),
        ("small", ["0", "2"]),
        ("bits", ["000000000000", "000010101111"]),
        ("flag", ["f", "t"]),
        ("bytes", ["\\x", "\\x00ff0a0d5c27"]),
        ("fixed", ["\\x00000000", "\\x61620000"]),
        ("doc", ["null", "{\"a\": 1.10, \"a\": 2}"]),
        ("loose", ["\"x\"", "[1,\n2]"]),
        ("day", ["2026-00-00", "0000-00-00"]),
        ("at", ["0000-00-00 00:00:00.000000", "2026-03-29 02:30:00.123456"]),
        ("stamp", ["0000-00-00 00:00:00.000", "2026-03-29 01:30:00.500+00"]),
        ("clock", ["00:00:00.00", "-838:59:59.25"]),
        ("y", ["0", "2026"]),
        ("mood", ["", "=good"]),
        ("many", ["", "a,b"]),
        ("zero", ["0", "42"]),
        ("u", ["nothing", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("ip", ["::ffff:10.0.0.1", "::1"]),
        ("half", ["6", "9223372036854775807"]),
        ("twice", ["1212", "1844674407370955161518446744073709551615"]),
        ("place", ["nothing", "\\x000000000101000000000000000000f03f0000000000000040"]),
        ("old", ["", "?ód? ü"]),
        ("odd `name", ["0", "-1"]),
    ];
    for (name, values) in expected {
        assert_eq!(both(name), *values, "{name}");
    }
    assert_eq!(of(&manifest, "quiet").rows, 0);
}

#[test]
fn lines_lie_in_their_orders_whatever_the_collation_calls_alike() {
    let (_, source) = source(
        "CREATE TABLE orders (id VARCHAR(10) PRIMARY KEY, note TEXT);
         CREATE TABLE order_lines (order_id VARCHAR(10), no INT, PRIMARY KEY (order_id, no), FOREIGN KEY (order_id) REFERENCES orders (id));
         INSERT INTO orders VALUES ('b', 'x'), ('A', NULL), ('C', ''), ('z', 'z');
         INSERT INTO order_lines VALUES ('A', 2), ('b', 1), ('A', 1), ('z', 1);",
    );
    let (_home, into) = place();
    let declared = [entity("orders", None), entity("order_lines", Some(("orders", "order_id", "lines")))];
    let manifest = exported_while(&source, &into, &declared, &Silent).unwrap();
    let text = fs::read_to_string(into.join("orders.json")).unwrap();
    let documents: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines = |it: &serde_json::Value| (it["id"].as_str().unwrap().to_owned(), it["lines"].as_array().unwrap().len());
    let found: Vec<_> = documents.as_array().unwrap().iter().map(lines).collect();
    assert_eq!(found, [("A", 2), ("C", 0), ("b", 1), ("z", 1)].map(|(id, lines)| (id.to_owned(), lines)));
    assert_eq!(rows_in(&into, &manifest, "order_lines", FileFormat::JsonDocuments).len(), 4);
}

/// Does something once rows have come, and may say stop then.
struct Meddler<'a> {
    at_rows: &'a (dyn Fn() + Sync),
    seen: AtomicBool,
    stops: bool,
}

impl Reporter for Meddler<'_> {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {
        if !self.seen.swap(true, Ordering::SeqCst) {
            (self.at_rows)();
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        match self.stops && self.seen.load(Ordering::SeqCst) {
            true => Err(Error::failed("cancelled", "Stopped.")),
            false => Ok(()),
        }
    }
}

const LARGE: &str = "CREATE TABLE a (n INT, t TEXT); INSERT INTO a SELECT seq, repeat('x', 50) FROM seq_1_to_20000;
    CREATE TABLE b (n INT); INSERT INTO b VALUES (1);";

#[test]
fn all_tables_are_of_the_same_instant_and_one_that_vanishes_is_told() {
    let server = shared();
    let (name, source) = source(LARGE);
    let (home, into) = place();
    let write = || drop(server.sql(&name, "INSERT INTO b VALUES (2); DELETE FROM a WHERE n > 10000"));
    let meddler = Meddler { at_rows: &write, seen: AtomicBool::new(false), stops: false };
    let manifest = exported_while(&source, &into, &[], &meddler).unwrap();
    assert!(meddler.seen.load(Ordering::SeqCst), "somebody wrote while the first table was read");
    assert_eq!((of(&manifest, "a").rows, of(&manifest, "b").rows), (20_000, 1));

    for (sql, class) in [("ALTER TABLE b MODIFY n BIGINT", "table_vanished"), ("DROP TABLE b", "table_vanished")] {
        let alter = || drop(server.sql(&name, sql));
        let meddler = Meddler { at_rows: &alter, seen: AtomicBool::new(false), stops: false };
        let error = exported_while(&source, &home.path().join("other"), &[], &meddler).unwrap_err();
        assert_eq!(error.class, class, "{sql}: {error} {:?}", error.details);
        assert!(error.details.iter().any(|it| it == "while exporting b"), "{:?}", error.details);
    }
    let meddler = Meddler { at_rows: &|| (), seen: AtomicBool::new(false), stops: true };
    let error = exported_while(&source, &home.path().join("other"), &[], &meddler).unwrap_err();
    assert_eq!(error.class, "cancelled");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["export"], "nothing else is left");
    // Nothing of ours goes on in the server.
    let sessions =
        server.sql("", &format!("SELECT count(*) FROM information_schema.PROCESSLIST WHERE USER = '{USER}'"));
    assert_eq!(sessions, "0");
}

#[test]
fn what_keeps_it_from_being_read_is_told_with_what_to_do() {
    let server = shared();
    let (name, source) = source(
        "CREATE TABLE open (n INT); CREATE TABLE closed (n INT, yes TINYINT(1)); INSERT INTO closed VALUES (1, 1)",
    );
    let failed = |endpoint: Endpoint| {
        let error = made(endpoint).snapshot().map(drop).unwrap_err();
        assert!(!error.remedy.is_empty() && !format!("{error:?}").contains("hunter2"), "{error:?}");
        error.class.into_owned()
    };
    assert_eq!(failed(Endpoint { password: Some("hunter2".into()), ..endpoint(&name) }), "auth_failed");
    assert_eq!(failed(Endpoint { user: "nobody".into(), ..endpoint(&name) }), "auth_failed");
    // Who may not see a database hears the same of one that is not there.
    assert_eq!(failed(Endpoint { database: "nowhere".into(), ..endpoint(&name) }), "auth_failed");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(failed(Endpoint { port: free, ..endpoint(&name) }), "connection_refused");
    assert_eq!(failed(Endpoint { host: "/nowhere/socket".into(), ..endpoint(&name) }), "connection_refused");
    assert_eq!(failed(Endpoint { host: "192.0.2.1".into(), ..endpoint(&name) }), "not_encrypted");
    let socket = server.dir.join("socket").to_str().unwrap().to_owned();
    made(Endpoint { host: socket, ..endpoint(&name) }).snapshot().unwrap();

    // Visible, and yet not to be read.
    server.sql(&name, &format!("REVOKE SELECT ON {name}.* FROM {USER}@localhost, {USER}@'127.0.0.1'"));
    let grant = |table: &str, right: &str| {
        server.sql(&name, &format!("GRANT {right} ON {name}.{table} TO {USER}@localhost, {USER}@'127.0.0.1'"));
    };
    grant("open", "SELECT");
    grant("closed", "INSERT");
    let (_home, into) = place();
    let error = exported(&source, &into).unwrap_err();
    assert_eq!(error.class, "insufficient_rights");
    assert!(error.details.iter().any(|it| it == "while exporting closed"), "{:?}", error.details);
    assert!(!into.exists());
    let manifest = exported_while(&source, &into, &[entity("open", None)], &Silent).unwrap();
    assert_eq!(rows(&into, &manifest, "open").len(), 0);
    let error = exported_while(&source, &into.with_extension("2"), &[entity("gone", None)], &Silent).unwrap_err();
    assert_eq!(error.class, "entity_table_missing");
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_told() {
    let server = Mariadb::start();
    let name = server.database(LARGE);
    let source = made(Endpoint { port: server.port, ..endpoint(&name) });
    let pid = fs::read_to_string(server.dir.join("pid")).unwrap().trim().parse().unwrap();
    let kill = || {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
            .unwrap()
    };
    let meddler = Meddler { at_rows: &kill, seen: AtomicBool::new(false), stops: false };
    let (home, into) = place();
    let error = exported_while(&source, &into, &[], &meddler).unwrap_err();
    assert_eq!(error.class, "connection_lost", "{error} {:?}", error.details);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// Set where the test runs by itself, so that its memory can be told.
const ALONE: &str = "LIFTLOCK_TEST_ALONE";

#[test]
fn a_table_that_is_larger_than_memory_may_be_is_read_row_by_row() {
    if std::env::var_os(ALONE).is_none() {
        let name = "mariadb::a_table_that_is_larger_than_memory_may_be_is_read_row_by_row";
        let said = alone::run(name, (ALONE, "1"));
        assert!(said.figure("bytes") > 150_000_000);
        assert!(said.figure("peak_kb") < 64 << 10, "{} kB", said.figure("peak_kb"));
        return;
    }
    let rows = "INSERT INTO a SELECT seq, repeat('x', 1000) FROM seq_1_to_150000";
    let (_, source) = source(&format!("CREATE TABLE a (n INT, t TEXT); {rows}"));
    let mut snapshot = source.snapshot().unwrap().unwrap();
    let table = snapshot.tables().unwrap().remove(0);
    let mut bytes = 0;
    let mut take = |row: &Row<'_>| {
        bytes += row.iter().flatten().map(|it| it.len()).sum::<usize>();
        Ok(())
    };
    snapshot.rows(&table, &table.columns, &[], &mut take, &Silent).unwrap();
    println!("bytes: {bytes}");
    alone::tell_peak();
}
