//! Files of other machines: looked into, made a backup on the side without any right, and gone back to like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use liftlock_engine::Engine;
use liftlock_engine::engine::AdoptChoice;
use serde_json::Value;

use crate::looked::Stopping;
use crate::support::{Case, World};

/// A dump made by hand, by an administrator of the server.
fn dumped(world: &World, database: &str, args: &[&str], file: &str) -> PathBuf {
    let output = Command::new("pg_dump")
        .args(["--host=127.0.0.1", "--username=postgres", "--dbname", database])
        .arg(format!("--port={}", world.postgres_port))
        .args(args)
        .env("PGPASSWORD", &world.secrets[0])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written(world, file, &output.stdout)
}

/// A file with this in it, packed where its name says so.
fn written(world: &World, file: &str, bytes: &[u8]) -> PathBuf {
    let path = world.dir.join(file.trim_end_matches(".gz"));
    fs::write(&path, bytes).unwrap();
    if !file.ends_with(".gz") {
        return path;
    }
    assert!(Command::new("gzip").args(["--force", "--fast"]).arg(&path).status().unwrap().success());
    world.dir.join(file)
}

fn at(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn listed(case: &Case<'_>) -> Vec<Value> {
    case.answer(&["backup", "list"]).1["backups"].as_array().unwrap().clone()
}

/// Neither the server nor what it worked on.
fn nothing_is_left_on_the_side(case: &Case<'_>) {
    for entry in fs::read_dir(case.scratch()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name != "database" && !name.starts_with("brought-in"), "{name} is left");
    }
}

const ENTERED_SINCE: &str = "CREATE TABLE public.entered_since (id int);\nINSERT INTO entered_since VALUES (1), (2);\nALTER TABLE entered_since OWNER TO corner_shop";

#[test]
fn an_archive_made_by_hand_becomes_a_proven_backup_and_is_gone_back_to() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    for file in ["by-hand.dump", "packed.dump.gz"] {
        let args: &[&str] = if file.ends_with("gz") { &["-Fc", "-Z0"] } else { &["-Fc"] };
        let path = dumped(&world, "corner_shop", args, file);
        let (code, seen) = case.answer(&["backup", "inspect", at(&path)]);
        assert_eq!((code, &seen["kind"], &seen["fits"]), (0, &"archive".into(), &true.into()), "{seen:#}");
        assert_eq!(seen["database"], "corner_shop");
        assert!(seen["word"].is_null() && seen["server_version"].as_str().unwrap().starts_with("15."), "{seen:#}");
        let orders = world.sql("corner_shop", "SELECT count(*) FROM orders");
        let rows = seen["tables"].as_array().unwrap().iter().find(|it| it["name"] == "public.orders").unwrap();
        assert_eq!(rows["rows"].to_string(), orders, "{seen:#}");
        let (code, made) = case.answer(&["backup", "adopt", at(&path)]);
        assert_eq!((code, &made["grade"], &made["pinned"]), (0, &"proven".into(), &true.into()), "{made:#}");
        assert_eq!(made["note"], format!("from the file {file}"));
    }
    // Nothing of it touched what is there.
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    world.sql("corner_shop", ENTERED_SINCE);
    let id = listed(&case)[0]["id"].as_str().unwrap().to_owned();
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), &id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    nothing_is_left_on_the_side(&case);
}

#[test]
fn sql_runs_only_after_the_word_and_every_row_of_it_is_there() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let path = dumped(&world, "corner_shop", &[], "old.sql.gz");
    let (code, seen) = case.answer(&["backup", "inspect", at(&path)]);
    assert_eq!((code, &seen["kind"], &seen["word"], &seen["packed"]), (0, &"sql".into(), &"RUN".into(), &true.into()));
    for word in [&[][..], &["--confirm", "run"], &["--confirm", "RESTORE"]] {
        let (code, answer) = case.answer(&[&["backup", "adopt", at(&path)], word].concat());
        assert_eq!((code, &answer["error"]["class"]), (3, &"not_confirmed".into()), "{answer:#}");
    }
    assert_eq!(listed(&case).len(), 0);
    let (code, made) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN", "--note", "of the old laptop"]);
    assert_eq!((code, &made["grade"], &made["note"]), (0, &"proven".into(), &"of the old laptop".into()), "{made:#}");
    let (code, compared) = case.answer(&["backup", "compare", made["id"].as_str().unwrap()]);
    let rows = compared["rows"].as_array().unwrap();
    assert!(code == 0 && rows.len() > 3, "{compared:#}");
    assert!(rows.iter().all(|it| it["now"] == it["then"]), "{compared:#}");
    let manifest = fs::read(Path::new(made["path"].as_str().unwrap()).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["origin"]["file"], "old.sql.gz", "{:#}", manifest["origin"]);
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

#[test]
fn rows_that_come_as_statements_are_all_there() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let orders = world.sql("corner_shop", "SELECT count(*) FROM orders");
    for (file, args) in [
        ("inserts.sql", &["--inserts"][..]),
        ("columns.sql.gz", &["--column-inserts"]),
        ("many.sql", &["--inserts", "--rows-per-insert=30"]),
    ] {
        let path = dumped(&world, "corner_shop", args, file);
        let (code, seen) = case.answer(&["backup", "inspect", at(&path)]);
        let rows = seen["tables"].as_array().unwrap().iter().find(|it| it["name"] == "public.orders").unwrap();
        assert_eq!((code, rows["rows"].to_string()), (0, orders.clone()), "{file}: {seen:#}");
        let (code, made) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
        assert_eq!((code, &made["grade"]), (0, &"proven".into()), "{file}: {made:#}");
        let (_, compared) = case.answer(&["backup", "compare", made["id"].as_str().unwrap()]);
        let rows = compared["rows"].as_array().unwrap();
        assert!(rows.len() > 3 && rows.iter().all(|it| it["now"] == it["then"]), "{file}: {compared:#}");
    }
    nothing_is_left_on_the_side(&case);
}

/// Of a database of another character set, with letters beyond ASCII in rows, in columns and in the names of tables.
#[test]
fn a_file_in_latin1_comes_in_with_every_letter() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let like = "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'";
    world.sql("postgres", &format!("CREATE DATABASE old_shop {like}"));
    let schema = fs::read_to_string(dumped(&world, "corner_shop", &["--schema-only", "--no-owner"], "s.sql")).unwrap();
    let plain: String = schema.lines().filter(|it| !it.starts_with('\\')).map(|it| format!("{it}\n")).collect();
    world.sql("old_shop", &plain);
    world.sql(
        "old_shop",
        "SET client_encoding = 'UTF8';\nCREATE TABLE public.\"Größen\" (id int PRIMARY KEY, \"Länge\" text);\n\
         INSERT INTO public.\"Größen\" VALUES (1, 'Übergröße: 3 Fuß'), (2, 'très grand, ¾ ©')",
    );
    for (file, args, kind) in [("old.sql", &[][..], "sql"), ("old.dump", &["-Fc", "-Z0"], "archive")] {
        let path = dumped(&world, "old_shop", args, file);
        let bytes = fs::read(&path).unwrap();
        assert!(std::str::from_utf8(&bytes).is_err() && bytes.windows(3).any(|it| it == b"Fu\xdf"));
        let (code, seen) = case.answer(&["backup", "inspect", at(&path)]);
        let tables = seen["tables"].as_array().unwrap();
        assert!(tables.iter().any(|it| it["name"] == "public.Größen" && it["rows"] == 2), "{file}: {seen:#}");
        assert_eq!((code, &seen["kind"]), (0, &kind.into()));
        let (code, made) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
        assert_eq!((code, &made["grade"]), (0, &"proven".into()), "{file}: {made:#}");
        let (code, look) = case.answer(&["backup", "look", made["id"].as_str().unwrap(), "--table", "Größen"]);
        assert_eq!((code, &look["columns"][1]), (0, &"Länge".into()), "{file}: {look:#}");
        assert_eq!(look["first_rows"][0][1], "Übergröße: 3 Fuß");
        assert_eq!(look["first_rows"][1][1], "très grand, ¾ ©");
        case.answer(&["backup", "look", "--remove", look["database"].as_str().unwrap()]);
    }
    nothing_is_left_on_the_side(&case);
}

/// Newer versions of `pg_dump` write between which lines `psql` takes no commands. That is kept, whatever is written.
#[test]
fn lines_that_restrict_psql_are_understood_and_unlock_nothing() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let folder = canary(&world);
    let path = dumped(&world, "corner_shop", &[], "restricted.sql");
    let text = fs::read_to_string(&path).unwrap();
    let line = |begin: &str| text.lines().find(|it| it.starts_with(begin)).unwrap().to_owned();
    let (locked, unlocked) = (line("\\restrict "), line("\\unrestrict "));
    let (code, made) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
    assert_eq!((code, &made["grade"]), (0, &"proven".into()), "{made:#}");
    // Unlocked in the middle, by the right word, by another, and locked once more by a word of its own.
    let touch = format!("\\! touch {}/was-here", folder.display());
    for evil in [
        format!("{unlocked}\n{touch}"),
        format!("\\unrestrict other\n{touch}"),
        format!("{locked}\n{unlocked}\n{touch}"),
        touch.clone(),
    ] {
        let path = written(&world, "evil.sql", text.replace(&unlocked, &format!("{evil}\n{unlocked}")).as_bytes());
        let (code, answer) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
        assert!(code == 3 && answer["error"]["class"] == "sql_commands_for_psql", "{evil}: {code} {answer:#}");
    }
    assert!(fs::read_dir(&folder).unwrap().next().is_none(), "something left a trace");
    assert_eq!(listed(&case).len(), 1);
    nothing_is_left_on_the_side(&case);
}

/// A folder in which whoever is let loose could leave a trace.
fn canary(world: &World) -> PathBuf {
    let folder = world.dir.join("canary");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn a_hostile_file_reaches_nothing_beyond_its_scratch_database() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let folder = canary(&world);
    let touch = format!("touch {}/was-here", folder.display());
    let roles = "SELECT count(*) FROM pg_roles";
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
    let before = (world.sql("postgres", roles), world.sql("postgres", databases));
    let schema = fs::read_to_string(dumped(&world, "corner_shop", &["--schema-only"], "schema.sql")).unwrap();
    let by_hand = |sql: &str| format!("DO $evil$ BEGIN EXECUTE $sql${sql}$sql$; END $evil$;");
    for (evil, class) in [
        (format!("\\! {touch}"), "sql_commands_for_psql"),
        (format!("COPY (SELECT 1) TO PROGRAM '{touch}';"), "sql_touches_files"),
        (by_hand(&format!("COPY (SELECT 1) TO PROGRAM '{touch}'")), "file_needs_rights"),
        (by_hand(&format!("COPY (SELECT 1) TO '{}/was-here'", folder.display())), "file_needs_rights"),
        ("SELECT pg_read_file('/etc/passwd');".to_owned(), "file_needs_rights"),
        ("SELECT lo_import('/etc/passwd');".to_owned(), "file_needs_rights"),
        ("CREATE EXTENSION file_fdw;".to_owned(), "extension_refused"),
        (by_hand("CREATE EXTENSION file_fdw SCHEMA public"), "file_needs_rights"),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '/tmp/x.so', 'f';".to_owned(), "file_needs_rights"),
        ("\\connect postgres\nCREATE TABLE a (b int);".to_owned(), "sql_commands_for_psql"),
        ("CREATE DATABASE second;".to_owned(), "sql_beyond_database"),
        (by_hand("CREATE ROLE evil SUPERUSER"), "file_needs_rights"),
        ("DROP ROLE corner_shop;".to_owned(), "sql_beyond_database"),
        (by_hand("DROP ROLE liftlock_scratch"), "file_needs_rights"),
        // Our reading and psql's are made to differ: psql takes no commands all the same.
        (
            format!(
                "SELECT set_config('standard_conf' || 'orming_strings', 'off', false);\nSELECT '\\'' \\! {touch}\n';"
            ),
            "file_does_not_restore",
        ),
    ] {
        let path = written(&world, "evil.sql", format!("{schema}\n{evil}\n").as_bytes());
        let (code, answer) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
        assert!(code == 3 && answer["error"]["class"] == class, "{evil}: {class} and not {code} {answer:#}");
        assert!(fs::read_dir(&folder).unwrap().next().is_none(), "{evil} left a trace");
    }
    // In an archive: a check that runs a program while rows come in.
    world.sql("postgres", "CREATE DATABASE evil TEMPLATE as_it_was");
    world.sql(
        "evil",
        &format!(
            "CREATE FUNCTION public.evil(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';\n\
             CREATE TABLE public.trap (id int CHECK (public.evil(id)));\nINSERT INTO public.trap VALUES (1);\n\
             CREATE OR REPLACE FUNCTION public.evil(int) RETURNS bool LANGUAGE plpgsql AS \
             'BEGIN COPY (SELECT 1) TO PROGRAM ''{touch}''; RETURN true; END'"
        ),
    );
    let path = dumped(&world, "evil", &["-Fc"], "evil.dump");
    world.sql("postgres", "DROP DATABASE evil");
    let (code, answer) = case.answer(&["backup", "adopt", at(&path)]);
    assert!(code == 3 && answer["error"]["class"] == "file_needs_rights", "{code} {answer:#}");
    assert!(fs::read_dir(&folder).unwrap().next().is_none(), "the check left a trace");

    assert_eq!((world.sql("postgres", roles), world.sql("postgres", databases)), before);
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!(listed(&case).len(), 0);
    nothing_is_left_on_the_side(&case);
}

#[test]
fn a_file_that_is_none_is_told_from_one_that_is_before_anything_is_made() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    world.sql("postgres", "CREATE DATABASE blog");
    world.sql("blog", "CREATE TABLE posts (id int, body text);\nINSERT INTO posts VALUES (1, 'hello')");
    let archive = fs::read(dumped(&world, "corner_shop", &["-Fc"], "good.dump")).unwrap();
    let text = fs::read(dumped(&world, "corner_shop", &[], "good.sql")).unwrap();
    let newer: Vec<u8> = {
        let at = archive.windows(3).position(|it| it == b"15.").unwrap();
        [&archive[..at], b"99.", &archive[at + 3..]].concat()
    };
    let files = [
        (dumped(&world, "blog", &["-Fc"], "blog.dump"), "another_application"),
        (dumped(&world, "blog", &[], "blog.sql.gz"), "another_application"),
        (dumped(&world, "corner_shop", &["-Ft"], "good.tar"), "dump_format"),
        (written(&world, "newer.dump", &newer), "dump_newer"),
        (written(&world, "newer.sql", &[b"-- Dumped from database version 99.1\n", &text[..]].concat()), "dump_newer"),
        (written(&world, "half.dump", &archive[..archive.len() / 2]), "archive_damaged"),
        (written(&world, "head.dump", &archive[..20]), "archive_damaged"),
        (written(&world, "half.sql", &text[..text.len() / 2]), "file_truncated"),
        (written(&world, "empty.sql", b""), "file_empty"),
        (written(&world, "picture.png", b"\x89PNG\r\n\x1a\n\0\0"), "file_unknown"),
        (world.dir.join("not there.dump"), "not_found"),
    ];
    for (path, class) in files {
        let (code, answer) = case.answer(&["backup", "adopt", at(&path), "--confirm", "RUN"]);
        assert!(
            code == 3 && answer["error"]["class"] == class,
            "{}: {class} and not {code} {answer:#}",
            path.display()
        );
    }
    assert_eq!(listed(&case).len(), 0);
    // What the tables are is seen without anything being made, and may be overruled by a person.
    let blog = world.dir.join("blog.dump");
    let (code, seen) = case.answer(&["backup", "inspect", at(&blog)]);
    assert_eq!(
        (code, &seen["fits"], &seen["tables"][0]["name"]),
        (0, &false.into(), &"public.posts".into()),
        "{seen:#}"
    );
    let (code, made) = case.answer(&["backup", "adopt", at(&blog), "--other-tables"]);
    assert_eq!((code, &made["grade"]), (0, &"proven".into()), "{made:#}");
}

#[test]
fn what_is_stopped_while_a_file_is_looked_into_brought_in_or_proven_leaves_nothing() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let engine = Engine::at(case.home.clone());
    let path = dumped(&world, "corner_shop", &[], "old.sql.gz");
    let choice = AdoptChoice { typed: Some("RUN"), ..AdoptChoice::default() };
    stopped_everywhere(&case, &|person| engine.inspect_file(&case.name, &path, None, person).map(drop));
    stopped_everywhere(&case, &|person| engine.adopt_file(&case.name, &path, &choice, person).map(drop));
    assert_eq!(listed(&case)[0]["grade"], "proven");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

/// Stops it wherever it can be, until it comes through.
fn stopped_everywhere(case: &Case<'_>, act: &dyn Fn(&Stopping) -> liftlock_engine::Result<()>) {
    let (mut at, mut stopped) = (0, 0);
    loop {
        let person = Stopping::after(at);
        let Err(error) = act(&person) else {
            assert!(person.told.load(Ordering::Relaxed) > 0, "it tells how it goes");
            break;
        };
        assert_eq!(error.class, "cancelled", "stopped at look {at}: {error:?}");
        nothing_is_left_on_the_side(case);
        // One that was made whole before it was stopped in its proof is a backup, as any that is not proven yet.
        let made = listed(case);
        assert!(made.iter().all(|it| it["grade"] == "taken"), "stopped at look {at}: {made:#?}");
        for it in made {
            fs::remove_dir_all(it["path"].as_str().unwrap()).unwrap();
        }
        let folder = case.home.backups(&case.name).unwrap();
        let left: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.file_name()).collect();
        assert!(left.is_empty(), "stopped at look {at}, left {left:?}");
        stopped += 1;
        // Close together at first, where it is short, and few where it is long.
        at += 1 + at / 2;
    }
    assert!(stopped > 2, "it can be stopped while it goes on: {stopped}");
}
