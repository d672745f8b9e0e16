//! Tables without a primary key: out, in and back, each row as often as it is there.

use std::fs;

use liftlock_engine::export::check;
use liftlock_engine::process::Silent;
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::intake::Intake;
use liftlock_engine::stores::postgres::PostgresStore;

use crate::cluster;
use crate::postgres_export::{NASTY, database, exported, inside, place};
use crate::postgres_import::{Coming, told};
use crate::postgres_support::fingerprint;

const LOG: &str = "CREATE TABLE log (at timestamptz, what text, level int DEFAULT 7, cost numeric(8,2))";
const ROWS: &str = "INSERT INTO log VALUES ('2026-01-01 00:00Z', 'same', 1, 1.5), ('2026-01-01 00:00Z', 'same', 1, 1.5), \
    (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL), ('infinity', E'a\\r\\n\"', 2, 0), (NULL, '', 3, NULL)";
const CONTENT: &str = "SELECT ROW(l.*)::text AS told FROM log l ORDER BY 1";

fn intake(store: &PostgresStore) -> Box<dyn Intake> {
    store.intake().unwrap().unwrap()
}

#[test]
fn rows_that_nothing_tells_apart_come_in_as_often_as_they_are_and_go_as_often() {
    let (from, source) = database(&[LOG, ROWS]);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    check::check(&folder, &manifest, &Silent).unwrap();
    // One of the same kind is there already, and is the application's own.
    let own = "INSERT INTO log VALUES ('2026-01-01 00:00Z', 'same', 1, 1.5), (NULL, 'own', 1, 1)";
    let (into, target) = database(&[LOG, own]);
    let before = fingerprint(cluster::shared(), &into);
    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    let tried = coming.comes(intake.as_mut(), true).unwrap();
    assert_eq!((tried[0].1.inserted, tried[0].1.out, tried[0].1.altered), (6, 0, 0), "{tried:?}");
    assert_eq!(fingerprint(cluster::shared(), &into), before, "a trial leaves no trace");

    let came = coming.comes(intake.as_mut(), false).unwrap();
    assert_eq!((came[0].1.inserted, came[0].1.altered), (6, 0), "{came:?}");
    let mut wanted = told(&from, CONTENT);
    wanted.extend(told(
        &into,
        &CONTENT
            .replace("log l", "(VALUES ('2026-01-01 00:00Z'::timestamptz, 'same', 1, 1.50), (NULL, 'own', 1, 1.00)) l"),
    ));
    wanted.sort();
    let mut found = told(&into, CONTENT);
    found.sort();
    assert_eq!(found, wanted, "the same rows, each as often");
    // Once more: what came in is on record row by row, however alike they are.
    let again = coming.comes(intake.as_mut(), false).unwrap();
    assert_eq!((again[0].1.inserted, again[0].1.earlier), (0, 6), "{again:?}");

    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!((taken[0].removed, taken[0].staying), (6, 0), "{taken:?}");
    assert_eq!(
        fingerprint(cluster::shared(), &into),
        before,
        "one of the three that are alike is left, and what was own"
    );
}

#[test]
fn what_was_changed_since_is_not_known_again_and_is_told() {
    let (_, source) = database(&[LOG, ROWS]);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (into, target) = database(&[LOG]);
    let mut intake = intake(&target);
    Coming::new(&folder, &manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
    inside(&into, &["UPDATE log SET what = 'mine' WHERE what = ''", "DELETE FROM log WHERE level = 2"]);
    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!((taken[0].removed, taken[0].staying), (4, 2), "{taken:?}");
    assert!(taken[0].stay[0].starts_with("log: 2 rows are not there any more as they came in"), "{taken:?}");
    assert_eq!(told(&into, CONTENT), ["(,mine,3,)"], "what somebody changed stays");
    assert!(intake.runs().unwrap().is_empty());
}

#[test]
fn a_row_that_cannot_come_in_is_named_and_one_that_the_application_alters_is_counted() {
    let (_, source) = database(&[LOG, ROWS]);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let path = folder.join("log.csv");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("infinity,"), "{text}");
    fs::write(&path, text.replacen("infinity,", "never,", 1)).unwrap();
    let alter = "CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.level := NEW.level + 1; RETURN NEW; END $$";
    let fire = "CREATE TRIGGER louder BEFORE INSERT ON log FOR EACH ROW WHEN (NEW.level = 3) EXECUTE FUNCTION louder()";
    let unique = "CREATE UNIQUE INDEX log_what ON log (what) WHERE what = 'same'";
    let (into, target) = database(&[LOG, alter, fire, unique]);
    let mut intake = intake(&target);
    let came = Coming::new(&folder, &manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
    assert_eq!((came[0].1.inserted, came[0].1.out, came[0].1.altered), (4, 2, 1), "{came:?}");
    let why: Vec<_> = came[0].1.troubles.iter().map(|it| it.why.as_str()).collect();
    assert!(why.iter().any(|it| it.contains("never")) && why.iter().any(|it| it.contains("log_what")), "{why:?}");
    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!((taken[0].removed, taken[0].staying), (4, 0), "{taken:?}");
    assert_eq!(told(&into, "SELECT count(*)::text AS told FROM log"), ["0"]);
}

#[test]
fn odd_names_are_no_matter() {
    let (from, source) = database(&NASTY[5..]);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (into, target) = database(&NASTY[5..6]);
    let mut intake = intake(&target);
    Coming::new(&folder, &manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
    let content = "SELECT ROW(n.*)::text AS told FROM \"Odd Name/..\" n";
    assert_eq!(told(&into, content), told(&from, content));
    assert_eq!(intake.take_back("run-1", &Silent).unwrap()[0].removed, 1);
}
