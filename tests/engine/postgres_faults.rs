//! What goes wrong with a server, on purpose.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use liftlock_engine::ports::{Patience, SignOfWork};
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::secrets::Secret;
use liftlock_engine::stores::postgres::aside::{self, Aside, AsideState, Strategy};
use liftlock_engine::stores::postgres::facts::{self, Place};
use liftlock_engine::stores::postgres::{Client, Server, Work, dump, hold_lease, inventory, lease, session};

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};
use crate::postgres_support::{admin, client_on, private_dir, run_all, shop};
use crate::proxy::Proxy;

/// A client that reaches the shared server at another port, or under another label.
fn client_at(port: u16, label: &str) -> Client {
    let server = Server::new("127.0.0.1", port, SUPERUSER).password(Secret::new(PASSWORD));
    Client::with_tools(server, admin().tools().clone(), label, &private_dir(), Arc::new(SystemRunner::new())).unwrap()
}

fn through_proxy() -> (Client, Proxy) {
    let proxy = Proxy::before(cluster::shared().port);
    (client_at(proxy.port, "liftlock/test/1"), proxy)
}

/// A shop that was closed and copied.
fn copied(client: &Client) -> (String, Aside, u32) {
    let (name, _) = shop(&admin());
    let it = Aside::plan(client, &name, "1f3a").unwrap();
    aside::close(client, &it, &|_| false).unwrap();
    let next_oid = aside::copy(client, &it, Strategy::Log, &Silent).unwrap();
    (name, it, next_oid)
}

#[test]
fn every_way_of_not_getting_in_has_its_name() {
    let shared = cluster::shared();
    let class = |server: Server, database: &str| {
        let error = Client::open(
            server,
            database,
            "liftlock/test/1",
            &private_dir(),
            std::slice::from_ref(&shared.bin),
            Arc::new(SystemRunner::new()),
        )
        .unwrap_err();
        assert!(!error.remedy.is_empty());
        assert!(!format!("{error:?}").contains("wrong-pw"), "a password was told");
        error.class.into_owned()
    };
    let server = |host: &str, port, password: &str| Server::new(host, port, SUPERUSER).password(Secret::new(password));
    assert_eq!(class(server("127.0.0.1", shared.port, "wrong-pw"), "postgres"), "auth_failed");
    assert_eq!(class(server("127.0.0.1", shared.port, PASSWORD), "nope"), "database_missing");
    assert_eq!(class(server("127.0.0.1", 1, PASSWORD), "postgres"), "connection_refused");
    assert_eq!(class(server("/nowhere", 5432, PASSWORD), "postgres"), "connection_refused");
    assert_eq!(class(server("no-such-host.invalid", 5432, PASSWORD), "postgres"), "dns");
    let mut tls = server("127.0.0.1", shared.port, PASSWORD);
    tls.ssl_mode = liftlock_engine::stores::postgres::SslMode::Require;
    assert_eq!(class(tls, "postgres"), "tls");
}

#[test]
fn the_session_beside_a_database_is_kept_while_it_answers_and_ends_with_its_client() {
    let client = client_at(cluster::shared().port, "liftlock/test/1");
    let who = || client.connect_beside("shop").unwrap().backend().clone();
    let kept = who();
    assert_eq!(who(), kept);
    {
        let used = client.connect_beside("shop").unwrap();
        let other = client.connect_beside("shop").unwrap();
        assert_eq!(*used.backend(), kept);
        assert_ne!(*other.backend(), kept, "two had one session at once");
    }
    assert_eq!(who(), kept);
    session::end_backend(&admin(), "postgres", &kept, Duration::from_secs(30)).unwrap();
    let next = who();
    assert_ne!(next, kept, "one that was ended was taken for one that answers");
    // Nobody may be in a database that is to be a template.
    let template = client.connect_beside("postgres").unwrap().backend().clone();
    assert_ne!(client.connect_beside("postgres").unwrap().backend(), &template);

    drop(client);
    let mut session = admin().connect("postgres").unwrap();
    let pid = next.pid;
    let until = Instant::now() + Duration::from_secs(30);
    while session.finds(&format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}")).unwrap() {
        assert!(Instant::now() < until, "its session outlives the client");
        thread::yield_now();
    }
}

#[test]
fn nothing_of_the_environment_decides_where_a_session_leads() {
    // The tests' own runner passes nothing of PG… on; this holds it there.
    let admin = admin();
    let (name, _) = shop(&admin);
    let odd = format!("{name} host='elsewhere' \\ \"x\"");
    let quoted = liftlock_engine::stores::postgres::quote::ident(&odd);
    admin.connect("postgres").unwrap().run(&format!("CREATE DATABASE {quoted}")).unwrap();
    let mut session = admin.connect(&odd).unwrap();
    #[derive(serde::Deserialize)]
    struct Row {
        name: String,
    }
    assert_eq!(session.one::<Row>("SELECT current_database() AS name").unwrap().name, odd);
    let it = Aside::plan(&admin, &odd, "1").unwrap();
    drop(session);
    aside::close(&admin, &it, &|_| false).unwrap();
    aside::copy(&admin, &it, Strategy::Log, &Silent).unwrap();
    aside::swap(&admin, std::slice::from_ref(&it), &|_| false).unwrap();
    assert!(matches!(aside::observe(&admin, &it).unwrap(), AsideState::Swapped { .. }));
}

#[test]
fn a_swap_whose_answer_was_cut_off_is_known_to_be_done() {
    let (client, proxy) = through_proxy();
    let (_, it, next_oid) = copied(&client);
    proxy.faults.cut_after_commit.store(true, Ordering::SeqCst);
    aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    assert!(!proxy.faults.cut_after_commit.load(Ordering::SeqCst), "the fault was hit");
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Swapped { next_oid });
}

#[test]
fn a_swap_that_was_cut_before_its_commit_is_known_not_to_be_done() {
    let (client, proxy) = through_proxy();
    let (_, it, next_oid) = copied(&client);
    proxy.faults.cut_before_commit.store(true, Ordering::SeqCst);
    let error = aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap_err();
    assert_eq!(error.class, "connection_lost", "{error} {:?}", error.details);
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Copied { next_oid });
    aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    aside::put_back(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::PutBack { failed_oid: next_oid });
}

#[test]
fn a_network_that_swallows_everything_ends_by_the_deadline() {
    let (client, proxy) = through_proxy();
    let (name, _) = shop(&admin());
    admin()
        .connect(&name)
        .unwrap()
        .run("CREATE TABLE public.large AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 60000) n")
        .unwrap();
    let mut session = client.connect(&name).unwrap();
    proxy.faults.swallow.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let error = session.run_watched("SELECT 1", Duration::from_secs(1), &mut || Ok(())).unwrap_err();
    assert_eq!(error.class, "timeout");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(!session.is_usable());
    proxy.faults.swallow.store(false, Ordering::SeqCst);

    let dir = tempfile::tempdir().unwrap();
    let patience = Patience { deadline: Duration::from_secs(60), stall_after: Some(Duration::from_secs(2)) };
    let options = dump::Options { workers: 2, patience, ..dump::Options::default() };
    let proxy = Arc::new(proxy);
    let faults = Arc::clone(&proxy.faults);
    let reporter = Swallow(faults);
    let begun = Instant::now();
    let error = dump::dump(&client, &name, &dir.path().join("x.gz"), options, &reporter).unwrap_err();
    assert!(["stalled", "connection_lost", "timeout"].contains(&error.class.as_ref()), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Turns the network dead as soon as bytes move.
struct Swallow(Arc<crate::proxy::Faults>);

impl liftlock_engine::ports::Reporter for Swallow {
    fn moved(&self, _done: u64, _total: Option<u64>, unit: liftlock_engine::ports::Unit) {
        if unit == liftlock_engine::ports::Unit::Bytes {
            self.0.swallow.store(true, Ordering::SeqCst);
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> liftlock_engine::Result<()> {
        Ok(())
    }
}

#[test]
fn what_stands_in_the_way_is_found_before_anything_is_touched() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    run_all(
        &mut admin.connect("postgres").unwrap(),
        &[&format!("ALTER ROLE {owner} NOCREATEDB"), &format!("CREATE ROLE {name}_stranger LOGIN PASSWORD 'pw'")],
    );
    let slot = format!("{name}_slot");
    let mut inside = admin.connect(&name).unwrap();
    run_all(
        &mut inside,
        &[
            &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
            "BEGIN",
            "INSERT INTO public.event VALUES ('2026-01-01', 'prepared')",
            &format!("PREPARE TRANSACTION '{name}_gid'"),
        ],
    );
    drop(inside);
    let stranger = client_on(cluster::shared(), &format!("{name}_stranger"), "pw").unwrap();
    let mut theirs = stranger.connect(&name).unwrap();
    theirs.run("SET application_name = 'report'").unwrap();
    let client = client_on(cluster::shared(), &owner, "pw").unwrap();
    let found = facts::facts(&client, &name).unwrap();
    let classes: Vec<_> = facts::obstacles(&found).into_iter().map(|it| it.class.into_owned()).collect();
    assert_eq!(classes, ["insufficient_rights", "prepared_transaction", "replication_slot"]);
    assert_eq!((found.sessions.len(), found.sessions[0].user.as_str()), (1, stranger.server().user.as_str()));
    assert_eq!(found.place, Place::Here);
    assert_eq!(found.settings.data_directory, Some(cluster::shared().dir.join("data")), "for the space that it has");
    assert!(found.size.unwrap() > 0);

    // Where nobody looked before, the server still refuses, and the database is open as before.
    let it = Aside::plan(&client, &name, "1").unwrap();
    assert_eq!(aside::close(&client, &it, &|who| who.user == owner).unwrap_err().class, "foreign_sessions");
    drop(theirs);
    aside::close(&client, &it, &|who| who.user == owner).unwrap();
    assert_eq!(aside::copy(&client, &it, Strategy::Log, &Silent).unwrap_err().class, "insufficient_rights");
    aside::reopen(&client, &it).unwrap();
    run_all(
        &mut admin.connect(&name).unwrap(),
        &[&format!("ROLLBACK PREPARED '{name}_gid'"), &format!("SELECT pg_drop_replication_slot('{slot}')")],
    );
}

#[test]
fn a_lease_on_a_database_is_seen_by_another_host_and_ends_with_its_connection() {
    let admin = admin();
    let (name, _) = shop(&admin);
    let key = lease::key_of("77", &name);
    let mut first = hold_lease(&admin, &name, key).unwrap();
    first.still_held().unwrap();
    let other = client_at(cluster::shared().port, "liftlock/other-host/7");
    let error = hold_lease(&other, &name, key).unwrap_err();
    assert_eq!(error.class, "busy");
    assert!(error.details[0].contains("liftlock/test/1"), "{:?}", error.details);
    admin
        .connect("postgres")
        .unwrap()
        .run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND (classid::int8 << 32) \
             + objid::int8 = {key}"
        ))
        .unwrap();
    assert_eq!(first.still_held().unwrap_err().class, "lease_lost");
    let mut second = hold_lease(&other, &name, key).unwrap();
    second.still_held().unwrap();
    drop(second);
    hold_lease(&admin, &name, key).unwrap();
}

#[test]
fn a_copy_that_a_killed_worker_left_running_is_ended_before_the_next_one() {
    let admin = admin();
    let (name, _) = shop(&admin);
    let old = client_at(cluster::shared().port, "liftlock/killed/1");
    let it = Aside::plan(&old, &name, "1").unwrap();
    aside::close(&old, &it, &|_| false).unwrap();
    // What the killed worker asked for goes on, in a session that bears its label.
    let mut orphan = old.connect("postgres").unwrap();
    let pid = orphan.backend().pid;
    let worker =
        thread::spawn(move || orphan.run_watched("SELECT pg_sleep(60)", Duration::from_secs(90), &mut || Ok(())));
    let new = client_at(cluster::shared().port, "liftlock/killed/2");
    until("the orphan is at work", || {
        let select = format!("SELECT 1 AS one FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
        new.connect("postgres").unwrap().finds(&select).unwrap()
    });
    aside::copy(&new, &it, Strategy::Log, &Silent).unwrap();
    assert_eq!(worker.join().unwrap().unwrap_err().class, "connection_lost");
    let mut session = new.connect("postgres").unwrap();
    assert_eq!(session::end_earlier(&mut session, Duration::from_secs(5)).unwrap(), 0);
    drop(session);
    aside::put_back(&new, &[it], &|_| false).unwrap();
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited too long until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How often `sign` changes in a number of looks while `sql` runs in `database`.
fn changes_while(client: &Client, database: &str, sign: &Work, sql: &str) -> usize {
    let mut session = client.connect(database).unwrap();
    let pid = session.backend().pid;
    let sql = sql.to_owned();
    let asked = thread::spawn(move || {
        let _ = session.run_watched(&sql, Duration::from_secs(60), &mut || Ok(()));
    });
    let mut beside = client.connect("postgres").unwrap();
    until("it has begun", || {
        let active = format!("SELECT 1 AS one FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
        beside.finds(&active).unwrap()
    });
    // The first look after the beginning may see the beginning itself.
    thread::sleep(Duration::from_millis(300));
    let mut last = sign.look().unwrap();
    let mut changes = 0;
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(300));
        let now = sign.look().unwrap();
        changes += usize::from(now != last);
        last = now;
    }
    beside.run(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
    asked.join().unwrap();
    changes
}

#[test]
fn silent_work_is_seen_and_sleep_and_waiting_for_a_lock_are_not_taken_for_it() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    for client in [admin.clone(), client_on(cluster::shared(), &owner, "pw").unwrap()] {
        let sign = Work::new(client.clone(), &name);
        let busy = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
        assert!(changes_while(&client, &name, &sign, busy) >= 5, "a long computation is work");
        let write = "DO $do$ BEGIN LOOP UPDATE public.item SET more = more; END LOOP; END $do$";
        assert!(changes_while(&client, &name, &sign, write) >= 5, "a long update is work");
        assert_eq!(changes_while(&client, &name, &sign, "SELECT pg_sleep(60)"), 0, "sleep is no work");
        let mut holder = client.connect(&name).unwrap();
        holder.run("BEGIN").unwrap();
        holder.run("LOCK TABLE public.item").unwrap();
        let waiting = "SET lock_timeout = 0\\; SELECT * FROM public.item";
        assert_eq!(changes_while(&client, &name, &sign, waiting), 0, "waiting for a lock is no work");
        // An idle session in a transaction is none either.
        let before = sign.look();
        assert_eq!(sign.look(), before);
    }
}

/// A small file system, where root may mount one.
pub(crate) struct Small(std::path::PathBuf);

impl Small {
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        cluster::unprivileged()?;
        let dir = cluster::server_dir("liftlock-tests-small-");
        let size = format!("size={megabytes}m,mode=0777");
        let done = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&dir).status();
        done.is_ok_and(|it| it.success()).then(|| Self(dir))
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Small {
    /// A server whose data is on it.
    pub(crate) fn server(&self) -> Cluster {
        let dir = self.0.join("pg");
        fs::create_dir(&dir).unwrap();
        let (uid, gid) = cluster::unprivileged().unwrap();
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).unwrap();
        Cluster::start_in(dir, &[("max_wal_size", "48MB"), ("wal_recycle", "off"), ("wal_level", "replica")])
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_disk_is_told_as_such_and_leaves_the_original_as_it_was() {
    let Some(small) = Small::mount(1) else { return };
    let admin = admin();
    let (name, _) = shop(&admin);
    let fill = "CREATE TABLE public.large AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 100000) n";
    admin.connect(&name).unwrap().run(fill).unwrap();
    let path = small.path().join("x.gz");
    let error = dump::dump(&admin, &name, &path, dump::Options::default(), &Silent).unwrap_err();
    assert_eq!(error.class, "disk_full", "{error:?}");
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 0);

    let Some(disk) = Small::mount(140) else { return };
    let cluster = disk.server();
    let client = client_on(&cluster, SUPERUSER, PASSWORD).unwrap();
    client.connect("postgres").unwrap().run("CREATE DATABASE tight").unwrap();
    let fill = "CREATE UNLOGGED TABLE public.large AS SELECT repeat('x', 1000) AS text FROM generate_series(1, 40000)";
    client.connect("tight").unwrap().run(fill).unwrap();
    let it = Aside::plan(&client, "tight", "1").unwrap();
    aside::close(&client, &it, &|_| false).unwrap();
    let error = aside::copy(&client, &it, Strategy::Files, &Silent).unwrap_err();
    assert_eq!(error.class, "disk_full", "{error:?}");
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Closed);
    aside::put_back(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Untouched);
    client.connect("tight").unwrap().run("SELECT count(*) FROM public.large").unwrap();
}

#[test]
fn several_databases_change_places_in_one_transaction_or_none() {
    let admin = admin();
    let (_, one, _) = copied(&admin);
    let (_, two, _) = copied(&admin);
    let both = [one.clone(), two.clone()];
    // Somebody works on the second copy.
    let mut stranger = admin.connect(&two.next_name).unwrap();
    stranger.run("SET application_name = 'report'").unwrap();
    assert_eq!(aside::swap(&admin, &both, &|_| false).unwrap_err().class, "foreign_sessions");
    assert!(matches!(aside::observe(&admin, &one).unwrap(), AsideState::Copied { .. }));
    drop(stranger);
    aside::swap(&admin, &both, &|_| false).unwrap();
    for it in &both {
        assert!(matches!(aside::observe(&admin, it).unwrap(), AsideState::Swapped { .. }));
    }
    // A name was taken over by hand meanwhile: nothing is moved any more.
    run_all(
        &mut admin.connect("postgres").unwrap(),
        &[&format!("ALTER DATABASE {} RENAME TO {}_by_hand", two.aside_name, two.name)],
    );
    assert!(matches!(aside::observe(&admin, &two).unwrap(), AsideState::Unknown(_)));
    assert_eq!(aside::put_back(&admin, &both, &|_| false).unwrap_err().class, "store_changed");
    assert!(matches!(aside::observe(&admin, &one).unwrap(), AsideState::Swapped { .. }), "all back or none");
}

#[test]
fn an_edited_row_is_seen_although_there_are_as_many_as_before() {
    let admin = admin();
    let (name, _) = shop(&admin);
    let before = inventory::count(&admin, &name, &Silent).unwrap();
    let moment = inventory::next_transaction(&admin, &name).unwrap();
    // Others on the server work on, and this database is read.
    admin.connect("postgres").unwrap().run("SELECT txid_current()").unwrap();
    assert!(!inventory::written_since(&admin, &name, moment, &Silent).unwrap());
    admin.connect(&name).unwrap().run("UPDATE public.item SET state = 'used' WHERE id = 7").unwrap();
    assert_eq!(inventory::count(&admin, &name, &Silent).unwrap(), before);
    assert!(inventory::written_since(&admin, &name, moment, &Silent).unwrap());
}
