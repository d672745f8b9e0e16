//! Dumps, and scratch servers that prove them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, path::PathBuf};

use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::stores::postgres::dump::{self, Dump};
use liftlock_engine::stores::postgres::scratch::{self, Scratch};
use liftlock_engine::stores::postgres::{Client, compare_counts, count, restore_live};
use liftlock_engine::{Error, Result};

use crate::cluster::{self, unprivileged};
use crate::postgres_support::{admin, client_on, private_dir, run_all, shop};

pub(crate) fn scratch_options() -> scratch::Options {
    scratch::Options {
        label: "liftlock/test/1".into(),
        run_as: unprivileged(),
        runner: Arc::new(SystemRunner::new()),
        container: None,
    }
}

fn dumped(client: &Client, name: &str) -> (tempfile::TempDir, PathBuf, Dump) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.pgdump.gz");
    let dump = dump::dump(client, name, &path, dump::Options::default(), &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    (dir, path, dump)
}

#[test]
fn a_dump_is_proven_on_a_scratch_server_by_its_owner_and_rehearsed_there() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    run_all(
        &mut admin.connect(&name).unwrap(),
        &[
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            &format!("ALTER DATABASE {name} SET work_mem = '7MB'"),
            &format!("ALTER DATABASE {name} SET search_path = \"Odd schema\", public"),
            &format!("ALTER ROLE {owner} SET temp_buffers = '9MB'"),
            "CREATE SCHEMA Extra",
            "CREATE EXTENSION hstore SCHEMA extra",
            "CREATE EXTENSION postgres_fdw",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')",
            &format!("CREATE USER MAPPING FOR {owner} SERVER elsewhere OPTIONS (user 'x', password 'seeded-secret')"),
            &format!("CREATE ROLE {name}_other"),
            &format!("GRANT SELECT ON public.item TO {name}_other"),
            "CREATE PUBLICATION everything FOR ALL TABLES",
            "SELECT lo_from_bytea(0, 'large')",
        ],
    );
    let (_dir, path, dump) = dumped(&admin, &name);
    assert_eq!(dump.inventory.counts["public.Order Lines"], 2000);
    assert_eq!(dump.inventory.counts["public.event_old"] + dump.inventory.counts["public.event_new"], 60);
    assert!(!dump.inventory.counts.contains_key("public.event"), "its partitions are counted");
    assert_eq!(dump.inventory.large_objects, 1);
    assert_eq!(fs::metadata(&path).unwrap().len(), dump.bytes);
    let listed = std::process::Command::new("sh")
        .arg("-c")
        .arg("gunzip -c \"$1\" | \"$2\" --list | grep -c 'TABLE DATA'")
        .args(["sh", path.to_str().unwrap(), cluster::bin().join("pg_restore").to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "4\n", "standard tools read it");

    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let dir = home.path().join("one");
    let scratch = Scratch::start(admin.tools(), &dir, &scratch_options()).unwrap();
    let mut restored =
        scratch.restore(&path, &dump, "shop", &Silent).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    scratch.seal(&dump, &mut restored, &Silent).unwrap();
    assert_eq!(restored.access.user, owner);
    assert!(restored.notes.iter().any(|it| it.contains("elsewhere")), "{:?}", restored.notes);
    let as_owner = scratch.client().as_user(&owner, Some(restored.access.password.clone()), &private_dir()).unwrap();
    let mut inside = as_owner.connect("shop").unwrap();
    let set = "SELECT 1 AS one WHERE current_setting('work_mem') = '7MB' AND current_setting('temp_buffers') = '9MB'";
    assert!(inside.finds(set).unwrap(), "the settings are those of the original");
    inside.run("ALTER TABLE public.item ADD COLUMN colour text").unwrap();
    inside.run("DELETE FROM public.\"Order Lines\" WHERE amount > 1990").unwrap();
    assert!(!inside.finds("SELECT 1 AS one FROM pg_foreign_server").unwrap(), "no way out");
    let after = count(&as_owner, "shop", &Silent).unwrap();
    let changes = compare_counts(&dump.inventory.counts, &after);
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["public.Order Lines has 1990 rows instead of 2000"]
    );
    let empty = scratch.empty(&restored.access, "empty").unwrap();
    assert!(empty.url().expose().ends_with("/empty"));
    assert_eq!(count(&as_owner, "empty", &Silent).unwrap().len(), 0);
    drop(inside);
    scratch.stop().unwrap();
    assert!(!dir.exists());
}

/// Lets the user of the servers pass.
pub(crate) fn open(dir: &std::path::Path) {
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
}

#[test]
fn the_indexes_of_a_large_dump_are_built_by_several_connections_and_nothing_is_missing() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    // Rights that keys need while they are checked, given up by the owner: they must come last.
    let given_up = format!("REVOKE ALL ON public.item FROM {owner}");
    admin.connect(&name).unwrap().run(&given_up).unwrap();
    let (_dir, path, dump) = dumped(&admin, &name);
    let large = Dump { raw_bytes: 1 << 30, ..dump };
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let scratch = Scratch::start(admin.tools(), &home.path().join("one"), &scratch_options()).unwrap();
    let restored =
        scratch.restore(&path, &large, "shop", &Silent).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(restored.access.user, owner);
    let mut inside = scratch.client().connect("shop").unwrap();
    let gone = format!("SELECT 1 AS one WHERE has_table_privilege('{owner}', 'public.item', 'SELECT')");
    assert!(!inside.finds(&gone).unwrap(), "rights are restored too");
    drop(inside);
    // The whole archive has to be whole, though the second pass reads its head alone.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(scratch.restore(&path, &large, "damaged", &Silent).unwrap_err().class, "archive_damaged");
    let left: Vec<_> = fs::read_dir(home.path().join("one")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|it| !it.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[test]
fn a_database_of_another_character_set_is_dumped_byte_for_byte() {
    let admin = admin();
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let scratch = Scratch::start(admin.tools(), &home.path().join("one"), &scratch_options()).unwrap();
    // Bytes that are no UTF-8 live in old databases without a character set.
    for (encoding, bytes) in [("LATIN1", r"\xe9"), ("SQL_ASCII", r"\xff80e9")] {
        let name = cluster::fresh("old");
        let create =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        admin.connect("postgres").unwrap().run(&create).unwrap();
        let value = format!("convert_from('{bytes}'::bytea, getdatabaseencoding())");
        let fill = format!("CREATE TABLE public.word AS SELECT {value} AS word");
        admin.connect(&name).unwrap().run(&fill).unwrap();
        let (_dir, path, dump) = dumped(&admin, &name);
        assert_eq!(dump.shape.like.encoding, encoding);
        scratch.restore(&path, &dump, &name, &Silent).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
        let same = format!("SELECT 1 AS one FROM public.word WHERE word = {value}");
        assert!(scratch.client().connect(&name).unwrap().finds(&same).unwrap(), "{encoding}");
    }
}

#[test]
fn a_table_that_is_locked_for_long_ends_the_dump_with_a_word_and_nothing_is_left() {
    let admin = admin();
    let (name, _) = shop(&admin);
    let mut other = admin.connect(&name).unwrap();
    run_all(&mut other, &["BEGIN", "LOCK TABLE public.item IN ACCESS EXCLUSIVE MODE"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.pgdump.gz");
    let options = dump::Options { lock_wait: std::time::Duration::from_millis(300), ..dump::Options::default() };
    let error = dump::dump(&admin, &name, &path, options, &Silent).unwrap_err();
    assert_eq!(error.class, "database_locked", "{error} {:?}", error.details);
    assert!(error.remedy.contains("let it finish"), "{}", error.remedy);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "half a dump is no dump");
    // It was nobody's fault, and the next one succeeds.
    other.run("ROLLBACK").unwrap();
    dump::dump(&admin, &name, &path, options, &Silent).unwrap();
}

#[test]
fn a_damaged_dump_is_found_by_restoring_it() {
    let admin = admin();
    let (name, _) = shop(&admin);
    let (_dir, path, dump) = dumped(&admin, &name);
    let whole = fs::read(&path).unwrap();
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let scratch = Scratch::start(admin.tools(), &home.path().join("one"), &scratch_options()).unwrap();
    let class = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        scratch.restore(&path, &dump, "shop", &Silent).unwrap_err().class.into_owned()
    };
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        assert_eq!(class(&whole[..length]), "archive_damaged", "cut to {length} of {}", whole.len());
    }
    for at in (20..whole.len()).step_by(whole.len() / 7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert_eq!(class(&bytes), "archive_damaged", "a bit flipped at {at}");
    }
    // A whole archive of something else: its checksum is right in itself, but it is not what was dumped.
    let mut other = dump.clone();
    other.inventory.counts.insert("public.item".into(), 501);
    fs::write(&path, &whole).unwrap();
    let error = scratch.restore(&path, &other, "shop", &Silent).unwrap_err();
    assert_eq!((error.class.as_ref(), error.details.len()), ("backup_differs", 1));
    scratch.restore(&path, &dump, "shop", &Silent).unwrap();
}

/// Holds the reading side at its first word, so that the dump cannot end, until something was done to it.
struct Held<F: Fn(&Stopped) + Sync> {
    act: F,
    has_acted: AtomicBool,
    stopped: Stopped,
}

/// Whether the dump was told to stop, and whether it has heard.
#[derive(Default)]
struct Stopped {
    is_wanted: AtomicBool,
    was_heard: AtomicBool,
}

impl Stopped {
    fn and_heard(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
        crate::postgres_faults::until("it was heard", || self.was_heard.load(Ordering::SeqCst));
    }
}

impl<F: Fn(&Stopped) + Sync> Held<F> {
    fn until(act: F) -> Self {
        Self { act, has_acted: AtomicBool::new(false), stopped: Stopped::default() }
    }
}

impl<F: Fn(&Stopped) + Sync + Send> Reporter for Held<F> {
    fn moved(&self, done: u64, _total: Option<u64>, _unit: Unit) {
        // What was sent before the cut still arrives.
        if !self.has_acted.swap(true, Ordering::SeqCst) {
            assert!(done < LARGE / 2, "most of it is still to come: {done}");
            (self.act)(&self.stopped);
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        if !self.stopped.is_wanted.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.stopped.was_heard.store(true, Ordering::SeqCst);
        Err(Error::failed("cancelled", "stop"))
    }
}

/// Bytes at least in a dump of [`large`].
const LARGE: u64 = 60_000 * 640;

fn large(admin: &Client) -> String {
    let (name, _) = shop(admin);
    run_all(
        &mut admin.connect(&name).unwrap(),
        &["CREATE TABLE public.large AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 60000) n"],
    );
    name
}

#[test]
fn a_dump_that_is_cancelled_or_cut_leaves_nothing() {
    let admin = admin();
    let name = large(&admin);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.pgdump.gz");
    let options = dump::Options::default();
    let cancel = Held::until(Stopped::and_heard);
    assert_eq!(dump::dump(&admin, &name, &path, options, &cancel).unwrap_err().class, "cancelled");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let cut = Held::until(|_| {
        let mut session = admin.connect("postgres").unwrap();
        let end = format!(
            "WITH it AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'COPY%') \
             SELECT 1 AS one FROM it WHERE pg_terminate_backend(pid, 30000)"
        );
        // Only what still sits in pipes and buffers is read from here on.
        assert!(session.finds(&end).unwrap(), "pg_dump's session was ended");
    });
    let error = dump::dump(&admin, &name, &path, options, &cut).unwrap_err();
    assert_eq!(error.class, "connection_lost", "{error} {:?}", error.details);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    dump::dump(&admin, &name, &path, options, &Silent).unwrap();
}

#[test]
fn the_fallback_restores_a_dump_beside_the_live_database_and_it_takes_its_place() {
    use liftlock_engine::stores::postgres::aside::{self, Aside, AsideState};
    let admin = admin();
    let (name, owner) = shop(&admin);
    let client = client_on(cluster::shared(), &owner, "pw").unwrap();
    let (_dir, path, dump) = dumped(&client, &name);
    // A migration in place went wrong.
    client.connect(&name).unwrap().run("DROP TABLE public.\"Order Lines\"").unwrap();
    let it = Aside::plan(&client, &name, "77").unwrap();
    aside::close(&client, &it, &|who| who.user == owner).unwrap();
    let failing = aside::restore_beside(&client, &it, &mut |_| Err(Error::failed("cancelled", "stop")));
    assert_eq!(failing.unwrap_err().class, "cancelled");
    assert!(matches!(aside::observe(&client, &it).unwrap(), AsideState::PartCopied { .. }));
    aside::restore_beside(&client, &it, &mut |new| restore_live(&client, new, &path, &dump, &Silent)).unwrap();
    aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    let counts = count(&client, &name, &Silent).unwrap();
    assert_eq!(compare_counts(&dump.inventory.counts, &counts), []);
}

#[test]
fn a_scratch_server_that_a_killed_worker_left_is_ended_and_only_our_folder_goes() {
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let (dir, theirs) = (home.path().join("one"), home.path().join("theirs"));
    let admin = admin();
    let scratch = Scratch::start(admin.tools(), &dir, &scratch_options()).unwrap();
    let pid: i32 =
        fs::read_to_string(dir.join("data/postmaster.pid")).unwrap().lines().next().unwrap().parse().unwrap();
    std::mem::forget(scratch);
    assert!(PathBuf::from(format!("/proc/{pid}")).exists());
    // As if it had been killed before it could note who the server is.
    fs::remove_file(dir.join("server.json")).unwrap();
    Scratch::sweep(&dir).unwrap();
    assert!(!dir.exists() && !PathBuf::from(format!("/proc/{pid}/cwd")).exists());
    Scratch::sweep(&dir).unwrap();
    fs::create_dir(&theirs).unwrap();
    assert_eq!(Scratch::sweep(&theirs).unwrap_err().class, "not_ours");
    assert!(theirs.exists());
}

#[test]
fn a_hostile_dump_runs_nothing_with_rights_that_its_owner_never_had() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let bait = tempfile::tempdir().unwrap();
    fs::set_permissions(bait.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let canary = bait.path().join("was-here");
    let touch = format!("touch {}", canary.display());
    run_all(
        &mut admin.connect(&name).unwrap(),
        &[
            &format!("SET SESSION AUTHORIZATION {owner}"),
            // It waits until a superuser loads the rows.
            &format!(
                "CREATE FUNCTION public.trap(word text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
                 IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN \
                 EXECUTE 'COPY (SELECT 1) TO PROGRAM ''{touch} && cat > /dev/null'''; END IF; RETURN true; END $$"
            ),
            "CREATE TABLE public.bait (word text CHECK (public.trap(word)))",
            "INSERT INTO public.bait VALUES ('x')",
            "CREATE MATERIALIZED VIEW public.seen AS SELECT public.trap(word) AS seen FROM public.bait",
            // What psql would take for a command of its own, in a name and in a remark.
            &format!(
                "DO $$ BEGIN EXECUTE format('CREATE TABLE public.%I (id int)', 'a' || chr(10) || '\\! {touch}'); \
                 EXECUTE format('COMMENT ON TABLE public.bait IS %L', 'a' || chr(10) || '\\! {touch}'); END $$"
            ),
        ],
    );
    let (_dir, path, dump) = dumped(&admin, &name);
    assert!(!canary.exists(), "the dump alone has run it");
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let scratch = Scratch::start(admin.tools(), &home.path().join("one"), &scratch_options()).unwrap();
    scratch.restore(&path, &dump, "shop", &Silent).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert!(!canary.exists(), "the proof has run it");

    // The trap is a real one.
    scratch.client().connect("shop").unwrap().run("INSERT INTO public.bait VALUES ('y')").unwrap();
    assert!(canary.exists());
}
