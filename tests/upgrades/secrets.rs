//! What others print may hold a password. It is taken out by its value on its way to every place where it would stay.

use crate::support::{Expected, World};

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
