//! SQL Server as a source: our own client, and a stand-in for the server that speaks the protocol.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use liftlock_engine::error::{Error, Result};
use liftlock_engine::export::manifest::FileFormat;
use liftlock_engine::model::profile::{Encryption, Endpoint};
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::stores::sqlserver::{PROGRAM, Place, SqlServerSource};
use liftlock_engine::stores::tables::{Holds, Row, Source};

use crate::support::{column, entity, exported, exported_while, of, place, rows, rows_in, texts};
use crate::tds::{DATABASE, Double, Manner, PASSWORD, Rows, USER, V, holding, table, text};

/// Our client, which Cargo puts beside the folder of the tests.
fn program() -> PathBuf {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let program = folder.join(PROGRAM).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.is_file(), "{} is built by: cargo build --package liftlock-sqlserver", program.display());
    program
}

fn at(server: &Double) -> Place {
    Place {
        endpoint: Endpoint {
            host: "localhost".into(),
            port: server.port,
            database: DATABASE.into(),
            user: USER.into(),
            password: Some(PASSWORD.into()),
            parameters: Vec::new(),
        },
        instance: None,
        encryption: Encryption::Verified,
        authority: Some(server.authority.clone()),
    }
}

fn made(place: Place) -> SqlServerSource {
    SqlServerSource::new("old-database", place, &program(), Arc::new(SystemRunner::new()))
}

#[test]
fn numbers_and_texts_come_out_of_it() {
    let rows_of = vec![vec![V::Int(1), text("a")], vec![V::Int(-2), V::Null], vec![V::Int(3), text("")]];
    let server = Double::start(holding(vec![table("notes", &["id int", "note nvarchar(50)"], Rows::Are(rows_of))]));
    let (_home, into) = place();
    let manifest = exported(&made(at(&server)), &into).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(column(&into, &manifest, "notes", "note"), texts(&[Some("a"), None, Some("")]));
    assert_eq!(of(&manifest, "notes").source, "SQL Server 15.0.4312.2");
    assert_eq!(of(&manifest, "notes").columns[0].sum.as_deref(), Some("2"));
}

/// A row of every type, a second one with what else there is, and one with nothing.
fn every_type() -> Vec<crate::tds::Table> {
    let columns = [
        "id bigint",
        "tiny tinyint",
        "small smallint",
        "plain int",
        "yes bit",
        "exact decimal(38,20)",
        "n numeric(9,2)",
        "price money",
        "change smallmoney",
        "f real",
        "d float",
        "day date",
        "clock time(7)",
        "short time(0)",
        "at datetime2(7)",
        "rough datetime2(0)",
        "zone datetimeoffset(7)",
        "old datetime",
        "older smalldatetime",
        "u uniqueidentifier",
        "fixed binary(4)",
        "bytes varbinary(max)",
        "few varbinary(16)",
        "version rowversion",
        "letters char(5)",
        "v varchar(20)",
        "page varchar(8000)",
        "many varchar(max)",
        "wide nchar(3)",
        "t nvarchar(max)",
        "doc xml",
        "legacy text",
        "unicode ntext",
        "picture image",
        "any sql_variant",
        "money_in sql_variant",
        "tree hierarchyid",
        "spot geography",
        "odd]]name int",
        "worked_out int!",
    ];
    let columns = columns.map(|it| it.replace("]]", "]").leak() as &'static str);
    let guid: Vec<u8> = (0..16).map(|it| 0xa0 + it).collect();
    let full = vec![
        V::Int(i64::MIN),
        V::Int(255),
        V::Int(-32_768),
        V::Int(2_147_483_647),
        V::Bit(true),
        V::Decimal(-12_345_678_901_234_567_890_123_456_789_012_345_678),
        V::Decimal(-1),
        // More digits than a floating point number has.
        V::Decimal(9_223_372_036_854_775_807),
        V::Decimal(-2_147_483_648),
        V::Real(0.1),
        V::Float(-1e300),
        V::Date(0),
        V::Time(863_999_999_999),
        V::Time(86_399),
        V::At(3_652_058, 863_999_999_999),
        V::At(739_706, 3_600),
        V::Zoned(739_706, 863_999_999_999, 840),
        V::Old(46_111, 25_919_999),
        V::Small(46_111, 61),
        V::Guid(guid.try_into().unwrap()),
        V::Bytes(vec![1, 2, 0, 0]),
        V::Bytes(vec![0, 255, b'\n', b'\\', b'\t']),
        V::Bytes(Vec::new()),
        V::Bytes(vec![0, 0, 0, 0, 0, 0, 7, 0xd1]),
        text("ab   "),
        text("Łódź €"),
        text("žluť"),
        text(&"ß".repeat(9_000)),
        text("a  "),
        text("a\r\nb\tc\\N🚀"),
        text("<a b=\"1\">ü</a>"),
        text("long ago"),
        text("=1+1"),
        V::Bytes(vec![0x89, b'P']),
        V::Variant("int", Box::new(V::Int(-7))),
        V::Variant("money", Box::new(V::Decimal(9_223_372_036_854_775_807))),
        text("/1/3/"),
        text("SRID=4326;POINT (1.5 2)"),
        V::Int(5),
        V::Int(6),
    ];
    let mut other = full.clone();
    other[0] = V::Int(2);
    other[4] = V::Bit(false);
    other[5] = V::Decimal(1);
    other[9] = V::Real(16_777_216.0);
    other[10] = V::Float(0.1);
    other[16] = V::Zoned(739_706, 0, -90);
    other[17] = V::Old(-53_690, 1);
    other[29] = text("");
    other[34] = V::Variant("nvarchar(4000)", Box::new(text("NULL")));
    other[35] = V::Variant("decimal(38,4)", Box::new(V::Decimal(-5)));
    let mut nothing = vec![V::Null; columns.len()];
    nothing[0] = V::Int(3);
    vec![table("nasty", &columns, Rows::Are(vec![full, other, nothing]))]
}

const FIRST: &[(&str, &str)] = &[
    ("id", "-9223372036854775808"),
    ("tiny", "255"),
    ("small", "-32768"),
    ("plain", "2147483647"),
    ("yes", "t"),
    ("exact", "-123456789012345678.90123456789012345678"),
    ("n", "-0.01"),
    ("price", "922337203685477.5807"),
    ("change", "-214748.3648"),
    ("f", "0.1"),
    ("d", "-1e300"),
    ("day", "0001-01-01"),
    ("clock", "23:59:59.9999999"),
    ("short", "23:59:59"),
    ("at", "9999-12-31 23:59:59.9999999"),
    ("rough", "2026-04-01 01:00:00"),
    ("zone", "2026-04-02 13:59:59.9999999+14:00"),
    ("old", "2026-04-01 23:59:59.997"),
    ("older", "2026-04-01 01:01:00"),
    ("u", "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"),
    ("fixed", "\\x01020000"),
    ("bytes", "\\x00ff0a5c09"),
    ("few", "\\x"),
    ("version", "\\x00000000000007d1"),
    ("letters", "ab   "),
    ("v", "Łódź €"),
    ("page", "žluť"),
    ("wide", "a  "),
    ("t", "a\r\nb\tc\\N🚀"),
    ("doc", "<a b=\"1\">ü</a>"),
    ("legacy", "long ago"),
    ("unicode", "=1+1"),
    ("picture", "\\x8950"),
    ("any", "-7"),
    ("money_in", "922337203685477.5807"),
    ("tree", "/1/3/"),
    ("spot", "SRID=4326;POINT (1.5 2)"),
    ("odd]name", "5"),
    ("worked_out", "6"),
];

const SECOND: &[(&str, &str)] = &[
    ("yes", "f"),
    ("exact", "0.00000000000000000001"),
    ("f", "16777216"),
    ("d", "0.1"),
    ("zone", "2026-03-31 22:30:00.0000000-01:30"),
    ("old", "1753-01-01 00:00:00.003"),
    ("t", ""),
    ("any", "NULL"),
    ("money_in", "-0.0005"),
];

#[test]
fn every_type_comes_out_exact_and_is_read_back() {
    let server = Double::start(holding(every_type()));
    let (_home, into) = place();
    let manifest = exported(&made(at(&server)), &into).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    let nasty = of(&manifest, "nasty");
    assert_eq!((nasty.rows, nasty.key.as_slice()), (3, &["id".to_owned()][..]));
    assert_eq!(nasty.columns[0].sum.as_deref(), Some("-9223372036854775803"));
    let all = rows(&into, &manifest, "nasty");
    let at = |name: &str| nasty.columns.iter().position(|it| it.column == name).unwrap_or_else(|| panic!("{name}"));
    for (row, expected) in [(0, FIRST), (1, SECOND)] {
        for (name, value) in expected {
            assert_eq!(all[row][at(name)].as_deref(), Some(*value), "{name}");
        }
    }
    assert_eq!(all[0][at("many")].as_ref().map(|it| it.chars().count()), Some(9_000));
    assert!(all[2][1..].iter().all(Option::is_none), "{:?}", all[2]);
    let held = |name: &str| nasty.columns[at(name)].holds;
    use Holds::{Boolean, Integer, Number, Text};
    let names = ["id", "tiny", "yes", "exact", "price", "f", "u", "bytes", "any"];
    assert_eq!(names.map(held), [Integer, Integer, Boolean, Number, Number, Number, Text, Text, Text]);
    let generated: Vec<&str> = nasty.columns.iter().filter(|it| it.generated).map(|it| it.column.as_str()).collect();
    assert_eq!(generated, ["version", "worked_out"]);
    let said = nasty.columns.iter().map(|it| it.data_type.as_str()).collect::<Vec<_>>();
    assert_eq!(said[5..7], ["decimal(38,20)", "numeric(9,2)"]);
    assert_eq!((said[at("version")], said[at("t")]), ("rowversion", "nvarchar(max)"));

    // It is told that nobody has tried it, in what people read and in what programs read.
    let readme = std::fs::read_to_string(into.join("README.txt")).unwrap();
    assert!(readme.contains("has not been tried against a real server of SQL Server"), "{readme}");
    assert_eq!(manifest.notes.len(), 1, "{:?}", manifest.notes);

    // Nothing was told to the server that could change anything.
    let told = server.told();
    let only_reads = |it: &String| {
        it.starts_with("SELECT ") || it.split("; ").all(|it| it.starts_with("SET ") || it == "BEGIN TRANSACTION")
    };
    assert!(told.iter().all(only_reads), "{told:?}");
    assert!(told.contains(&"SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION".to_owned()), "{told:?}");
}

#[test]
fn packets_may_end_anywhere() {
    let server = Double::start(holding(every_type()));
    let (_home, into) = place();
    let whole = exported(&made(at(&server)), &into).unwrap();
    for packet in [1, 3, 7] {
        let server = Double::start(Manner { packet: Some(packet), ..holding(every_type()) });
        let (_home, other) = place();
        let manifest =
            exported(&made(at(&server)), &other).unwrap_or_else(|it| panic!("{packet}: {it} {:?}", it.details));
        assert_eq!(rows(&other, &manifest, "nasty"), rows(&into, &whole, "nasty"), "{packet}");
    }
}

#[test]
fn tables_of_other_schemas_and_their_lines_are_found() {
    let orders =
        vec![vec![text("b"), text("x")], vec![text("A"), V::Null], vec![text("ä"), text("")], vec![text("a"), V::Null]];
    let lines = vec![
        vec![text("A"), V::Int(2)],
        vec![text("b"), V::Int(1)],
        vec![text("A"), V::Int(1)],
        vec![text("ä"), V::Int(1)],
    ];
    let mut sales = table("orders", &["id nvarchar(10)", "note nvarchar(max)"], Rows::Are(Vec::new()));
    sales.schema = "sales";
    let mut order_lines = table("order_lines", &["order_id varchar(10)", "no int"], Rows::Are(lines));
    order_lines.key = vec!["order_id", "no"];
    order_lines.refers = vec![["order_id", "dbo", "orders", "id"]];
    let server = Double::start(Manner {
        has_snapshots: false,
        ..holding(vec![
            table("orders", &["id nvarchar(10)", "note nvarchar(max)"], Rows::Are(orders)),
            order_lines,
            sales,
        ])
    });
    let (_home, into) = place();
    let declared = [
        entity("orders", None),
        entity("order_lines", Some(("orders", "order_id", "lines"))),
        entity("sales.orders", None),
    ];
    let manifest = exported_while(&made(at(&server)), &into, &declared, &Silent).unwrap();
    let documents: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(into.join("orders.json")).unwrap()).unwrap();
    let lines = |it: &serde_json::Value| (it["id"].as_str().unwrap().to_owned(), it["lines"].as_array().unwrap().len());
    let found: Vec<_> = documents.as_array().unwrap().iter().map(lines).collect();
    assert_eq!(found, [("A", 2), ("a", 0), ("b", 1), ("ä", 1)].map(|(id, lines)| (id.to_owned(), lines)));
    assert_eq!(rows_in(&into, &manifest, "order_lines", FileFormat::JsonDocuments).len(), 4);
    assert_eq!(rows(&into, &manifest, "sales.orders").len(), 0);
    assert_eq!(of(&manifest, "order_lines").refers[0].table, "orders");
    // Nobody could have a snapshot, so what was read was kept as it was, and that is told.
    assert!(server.told().iter().any(|it| it.contains("ISOLATION LEVEL SERIALIZABLE")));
    assert!(manifest.notes.iter().any(|it| it.contains("had to wait")), "{:?}", manifest.notes);
}

fn small() -> Vec<crate::tds::Table> {
    let numbers = |it: u64| vec![V::Int(i64::try_from(it).unwrap()), text("x")];
    let mut closed = table("closed", &["n int"], Rows::Are(Vec::new()));
    closed.is_closed = true;
    vec![table("a", &["n int", "t nvarchar(50)"], Rows::Made(5_000, numbers)), closed]
}

#[test]
fn what_keeps_it_from_being_read_is_told_with_what_to_do() {
    let server = Double::start(holding(small()));
    let failed = |place: Place| {
        let error = made(place).snapshot().map(drop).unwrap_err();
        assert!(!error.remedy.is_empty() && !format!("{error:?}").contains("hunter2"), "{error:?}");
        error.class.into_owned()
    };
    let with = |change: &dyn Fn(&mut Place)| {
        let mut place = at(&server);
        change(&mut place);
        failed(place)
    };
    assert_eq!(with(&|it| it.endpoint.password = Some("hunter2".into())), "auth_failed");
    assert_eq!(with(&|it| it.endpoint.user = "nobody".into()), "auth_failed");
    assert_eq!(with(&|it| it.endpoint.database = "nowhere".into()), "database_missing");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(with(&|it| it.endpoint.port = free), "connection_refused");
    assert_eq!(with(&|it| it.endpoint.host = "nowhere.invalid".into()), "dns");
    let elsewhere = |it: &mut Place| (it.endpoint.host, it.encryption) = ("192.0.2.1".into(), Encryption::None);
    assert_eq!(with(&elsewhere), "not_encrypted");
    // Signed by somebody unknown, and for another name.
    assert_eq!(with(&|it| it.authority = None), "certificate_not_trusted");
    assert_eq!(with(&|it| it.endpoint.host = "127.0.0.1".into()), "certificate_not_trusted");
    assert_eq!(with(&|it| it.authority = Some("nonsense".into())), "tls");
    let plain = Double::start(Manner { is_encrypted: false, ..holding(small()) });
    assert_eq!(failed(at(&plain)), "not_encrypted");

    // As the profile asks: whoever answers, and in the clear.
    for (server, encryption) in
        [(&server, Encryption::Unverified), (&server, Encryption::None), (&plain, Encryption::None)]
    {
        let place = Place { encryption, authority: None, ..at(server) };
        assert_eq!(made(place).snapshot().unwrap().unwrap().tables().unwrap().len(), 2, "{encryption:?}");
    }

    // The port says all, and without one nobody here knows the instance.
    let books = Some("BOOKS".to_owned());
    made(Place { instance: books.clone(), ..at(&server) }).snapshot().unwrap();
    let asks = Endpoint { port: 0, ..at(&server).endpoint };
    assert_eq!(failed(Place { instance: books, endpoint: asks, ..at(&server) }), "instance_missing");

    let nobody = SqlServerSource::new(
        "old",
        at(&server),
        &PathBuf::from("/nowhere/liftlock-sqlserver"),
        Arc::new(SystemRunner::new()),
    );
    let error = nobody.snapshot().map(drop).unwrap_err();
    assert_eq!(error.class, "tools_missing");
    assert!(error.remedy.contains("liftlock-sqlserver"), "{}", error.remedy);

    let (_home, into) = place();
    let error = exported(&made(at(&server)), &into).unwrap_err();
    assert_eq!(error.class, "insufficient_rights");
    assert!(error.details.iter().any(|it| it == "while exporting closed"), "{:?}", error.details);
    assert!(!into.exists());
    let manifest = exported_while(&made(at(&server)), &into, &[entity("a", None)], &Silent).unwrap();
    assert_eq!(of(&manifest, "a").rows, 5_000);
}

#[test]
fn an_export_that_was_cut_off_is_none() {
    let cases = [
        (Manner { dies_after: Some(3_000), ..holding(small()) }, "connection_lost"),
        (
            Manner { fails_after: Some((3_000, 3961, "Snapshot isolation transaction failed")), ..holding(small()) },
            "table_vanished",
        ),
        (
            Manner { fails_after: Some((0, 1222, "Lock request time out period exceeded.")), ..holding(small()) },
            "database_locked",
        ),
    ];
    for (manner, class) in cases {
        let server = Double::start(manner);
        let (home, into) = place();
        let error = exported_while(&made(at(&server)), &into, &[entity("a", None)], &Silent).unwrap_err();
        assert_eq!(error.class, class, "{error} {:?}", error.details);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing half-done is left");
    }
}

/// Says stop once rows have come.
struct Stops(AtomicBool);

impl Reporter for Stops {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {
        self.0.store(true, Ordering::SeqCst);
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(Error::failed("cancelled", "Stopped.")) } else { Ok(()) }
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

fn wide(it: u64) -> Vec<V> {
    vec![V::Int(i64::try_from(it).unwrap()), V::Text(format!("{it:0>200}"))]
}

#[test]
fn whoever_stops_lets_go_of_the_server_at_once() {
    let server = Double::start(holding(vec![table("a", &["n int", "t nvarchar(max)"], Rows::Made(50_000_000, wide))]));
    let mut snapshot = made(at(&server)).snapshot().unwrap().unwrap();
    let table = snapshot.tables().unwrap().remove(0);
    let mut taken = 0;
    let mut take = |_: &Row<'_>| {
        taken += 1;
        if taken == 1_000 { Err(Error::failed("cancelled", "Stopped.")) } else { Ok(()) }
    };
    let error = snapshot.rows(&table, &table.columns, &[], &mut take, &Silent).unwrap_err();
    assert_eq!(error.class, "cancelled");
    drop(snapshot);
    wait_for("the session ends", || server.sessions() == 0);
    assert!(server.rows() < 1_000_000, "{} rows were told", server.rows());

    let (home, into) = place();
    let stops = Stops(AtomicBool::new(false));
    let small = Double::start(holding(small()));
    let error = exported_while(&made(at(&small)), &into, &[entity("a", None)], &stops).unwrap_err();
    assert_eq!(error.class, "cancelled");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    wait_for("the session ends", || small.sessions() == 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_killed_is_told_and_leaves_nothing() {
    struct Kills(AtomicBool);
    impl Reporter for Kills {
        fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {
            if !self.0.swap(true, Ordering::SeqCst) {
                let pid = our_child("Pid:").unwrap().try_into().unwrap();
                let pid = rustix::process::Pid::from_raw(pid).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
        }
        fn say(&self, _line: &str) {}
        fn check(&self) -> Result<()> {
            Ok(())
        }
    }
    let server = Double::start(holding(vec![table("a", &["n int", "t nvarchar(max)"], Rows::Made(100_000, wide))]));
    let (home, into) = place();
    let kills = Kills(AtomicBool::new(false));
    let error = exported_while(&made(at(&server)), &into, &[], &kills).unwrap_err();
    assert!(kills.0.load(Ordering::SeqCst));
    assert_eq!(error.class, "connection_lost", "{error} {:?}", error.details);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    wait_for("the session ends", || server.sessions() == 0);
}

#[test]
fn a_client_that_nobody_listens_to_any_more_ends_by_itself() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    // A server that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let request = serde_json::json!({ "host": "localhost", "port": silent.local_addr().unwrap().port(), "instance": null,
        "database": DATABASE, "user": USER, "password": PASSWORD, "encryption": "none", "authority": null });
    let mut client = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(client.stdin.as_mut().unwrap(), "{request}").unwrap();
    let _held = silent.accept().unwrap();
    assert_eq!(client.try_wait().unwrap(), None, "it waits for the server");
    drop(client.stdin.take());
    wait_for("the client ends", || client.try_wait().unwrap().is_some());
}

/// Set where the test runs by itself, so that its memory can be told.
#[cfg(target_os = "linux")]
const ALONE: &str = "LIFTLOCK_TEST_ALONE";

#[cfg(target_os = "linux")]
#[test]
fn a_table_that_is_larger_than_memory_may_be_is_read_row_by_row() {
    use crate::alone;
    if std::env::var_os(ALONE).is_none() {
        let name = "sqlserver::a_table_that_is_larger_than_memory_may_be_is_read_row_by_row";
        let said = alone::run(name, (ALONE, "1"));
        assert!(said.figure("bytes") > 40_000_000);
        // Twice as many on the wire. The stand-in lives here too, and makes its rows one by one.
        assert!(said.figure("peak_kb") < 64 << 10, "{} kB", said.figure("peak_kb"));
        assert!(said.figure("client_kb") < 32 << 10, "{} kB", said.figure("client_kb"));
        return;
    }
    let server = Double::start(holding(vec![table("a", &["n int", "t nvarchar(400)"], Rows::Made(200_000, wide))]));
    let mut snapshot = made(at(&server)).snapshot().unwrap().unwrap();
    let table = snapshot.tables().unwrap().remove(0);
    let (mut bytes, mut rows, mut client_kb) = (0, 0, 0);
    let mut take = |row: &Row<'_>| {
        bytes += row.iter().flatten().map(|it| it.len()).sum::<usize>();
        rows += 1;
        if rows == 200_000 {
            client_kb = our_child("VmHWM:").unwrap();
        }
        Ok(())
    };
    snapshot.rows(&table, &table.columns, &[], &mut take, &Silent).unwrap();
    println!("bytes: {bytes}\nclient_kb: {client_kb}");
    alone::tell_peak();
}

/// A figure of the client, as the system tells it; memory in kilobytes.
#[cfg(target_os = "linux")]
fn our_child(word: &str) -> Option<u64> {
    let own = std::process::id();
    let told = |status: &str, word: &str| -> Option<u64> {
        let line = status.lines().find_map(|it| it.strip_prefix(word))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let status = processes.filter_map(|it| std::fs::read_to_string(it.path().join("status")).ok());
    let mut ours = status.filter(|it| told(it, "PPid:") == Some(own.into()) && it.starts_with("Name:\tliftlock-sqls"));
    ours.find_map(|it| told(&it, word))
}
