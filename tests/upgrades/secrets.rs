//! What others print may hold a password. It is taken out by its value on its way to every place where it would stay.

use std::fs;

use crate::support::watch::Eavesdropper;
use crate::support::{Expected, World, files_below};

/// A command that shows everything it was given, and fails only where it is meant.
const TELLTALE: &str = r#"
pre_upgrade = { command = ["/bin/sh", "-c", "env; env >&2; test -n \"$LIFTLOCK_REHEARSAL\""] }
"#;

#[test]
fn a_command_that_prints_its_whole_environment_gives_no_password_away() {
    let world = World::with(&["1.1.0"]);
    let case = world.case_with(|it| it.replacen("[migrations]\n", &format!("[migrations]{TELLTALE}"), 1));
    // The judge looks for the passwords in every file of the home and in every command line.
    let ended = case.run("1.1.0", &[], &Expected::rolled_back("migration_failed"));
    let upgrade = case.upgrade(ended.id);
    let details = upgrade.error.unwrap().details.join("\n");
    let log: String =
        case.engine.log(ended.id, 0, 10_000).unwrap().into_iter().map(|(_, _, line)| line + "\n").collect();
    assert!(log.contains("DATABASE_URL=postgres://corner_shop:«redacted»@"), "it did print it, masked: {log}");
    let said = format!("{details}\n{:?}", case.answer(&["status"]));
    assert!(world.secrets.iter().all(|it| !said.contains(it.as_str())), "{said}");
}

#[test]
fn passwords_of_a_backup_stand_in_no_command_line_and_in_no_file_that_is_left() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let eavesdropper = Eavesdropper::on(&world.secrets);
    let (code, made) = case.answer(&["backup", "create"]);
    assert_eq!((code, &made["grade"]), (0, &"proven".into()), "{made:#}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(case.answer(&["backup", "verify", id]).0, 0);
    assert_eq!(case.answer(&["backup", "look", id, "--table", "orders"]).0, 0);
    assert_eq!(eavesdropper.heard(), Vec::<String>::new());
    for file in files_below(case.home.root()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let tells = |secret: &String| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!world.secrets.iter().any(tells), "{} holds a password", file.display());
    }
}
