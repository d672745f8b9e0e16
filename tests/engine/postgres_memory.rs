//! What a dump takes of memory, however much passes through: told by the process that does it, of itself.
//!
//! In the place of `pg_dump` stands a program that emits text without an end of its own: nothing is stored, and what is
//! written packs into a thousandth. A gigabyte here, ten with `LIFTLOCK_LONG=1`.
#![cfg(target_os = "linux")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::{env, fs};

use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::secrets::Secret;
use liftlock_engine::stores::postgres::dump;
use liftlock_engine::stores::postgres::{Client, Server, tools};

use crate::alone;
use crate::cluster::{self, PASSWORD, SUPERUSER};
use crate::postgres_support::{admin, private_dir, shop};

/// Set in the process that dumps: the port of the server, the database, the folder of the tools.
const DUMPER: &str = "LIFTLOCK_TEST_DUMPER";
const MOST_KB: u64 = 64 << 10;

#[test]
fn ten_gigabytes_pass_through_a_dump_in_less_memory_than_64_mb() {
    if let Ok(told) = env::var(DUMPER) {
        return dump_as(&told);
    }
    let gigabytes = if env::var("LIFTLOCK_LONG").is_ok_and(|it| it == "1") { 10_u64 } else { 1 };
    let bytes = gigabytes << 30;
    let (database, _) = shop(&admin());
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for tool in ["psql", "pg_restore", "postgres", "initdb", "pg_ctl"] {
        symlink(cluster::bin().join(tool), tools.path().join(tool)).unwrap();
    }
    let real = cluster::bin().join("pg_dump");
    let stand_in = tools.path().join("pg_dump");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) exec '{}' --version ;; esac\n\
         yes 'an order of Ms Agidius, with lines, prices and an address in the High Street' | head -c {bytes}\n",
        real.display()
    );
    fs::write(&stand_in, script).unwrap();
    fs::set_permissions(&stand_in, PermissionsExt::from_mode(0o755)).unwrap();
    let told = format!("{}\n{database}\n{}", cluster::shared().port, tools.path().display());
    let name = "postgres_memory::ten_gigabytes_pass_through_a_dump_in_less_memory_than_64_mb";
    let said = alone::run(name, (DUMPER, &told));
    assert_eq!(said.figure("passed"), bytes);
    let peak = said.figure("peak_kb");
    println!("{gigabytes} GB in {peak} kB");
    assert!(peak < MOST_KB, "{peak} kB for {gigabytes} GB");
}

fn dump_as(told: &str) {
    let words: Vec<&str> = told.lines().collect();
    let server = Server::new("127.0.0.1", words[0].parse().unwrap(), SUPERUSER).password(Secret::new(PASSWORD));
    let runner = Arc::new(SystemRunner::new());
    let major = admin_at(&server).tools().major;
    let tools = tools::find(runner.as_ref(), major, &[words[2].into()]).unwrap();
    let client = Client::with_tools(server, tools, "liftlock/test/1", &private_dir(), runner).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("stream.gz");
    let dump = dump::dump(&client, words[1], &dest, dump::Options::default(), &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    println!("passed: {}", dump.raw_bytes);
    alone::tell_peak();
}

fn admin_at(server: &Server) -> Client {
    let runner = Arc::new(SystemRunner::new());
    Client::open(server.clone(), "postgres", "liftlock/test/1", &private_dir(), &[cluster::bin()], runner).unwrap()
}
