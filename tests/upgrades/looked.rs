//! One table of a backup, restored beside the live data, for looking at.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use liftlock_engine::Engine;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::ports::{Reporter, Unit};

use crate::support::{Exit, World};

/// A person who stops it after so many looks, and what was told until then.
pub(crate) struct Stopping {
    pub(crate) left: AtomicU32,
    pub(crate) told: AtomicU32,
}

impl Stopping {
    pub(crate) fn after(looks: u32) -> Self {
        Self { left: AtomicU32::new(looks), told: AtomicU32::new(0) }
    }
}

impl Reporter for Stopping {
    fn moved(&self, _: u64, _: Option<u64>, _: Unit) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Error::failed("cancelled", "stop"))
    }
}

#[test]
fn a_table_of_a_backup_is_looked_at_beside_and_the_live_one_is_not_touched() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let databases = || world.sql("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database");
    let before = databases();
    // Quoted names and a type of its own; foreign keys lead to tables that do not come along.
    world.sql(
        "corner_shop",
        "CREATE TYPE mood AS ENUM ('well', 'ill');\n\
         CREATE TABLE public.\"Odd table\" (id serial PRIMARY KEY, \"How\" mood, item int REFERENCES items, note text);\n\
         INSERT INTO public.\"Odd table\" (\"How\", note) VALUES ('well', 'first'), ('ill', NULL);\n\
         CREATE TABLE visits (day date NOT NULL, hour int NOT NULL, PRIMARY KEY (day, hour)) PARTITION BY RANGE (day);\n\
         CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2026-01-01');\n\
         CREATE TABLE visits_new PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO (MAXVALUE) PARTITION BY RANGE (hour);\n\
         CREATE TABLE visits_new_morning PARTITION OF visits_new FOR VALUES FROM (0) TO (12);\n\
         CREATE TABLE visits_new_evening PARTITION OF visits_new FOR VALUES FROM (12) TO (24);\n\
         INSERT INTO visits SELECT '2025-06-01', n FROM generate_series(1, 10) n;\n\
         INSERT INTO visits SELECT date '2026-06-01' + n, n % 3 * 8 FROM generate_series(0, 29) n;\n\
         ALTER TABLE visits OWNER TO corner_shop;\nALTER TABLE visits_old OWNER TO corner_shop;\n\
         ALTER TABLE visits_new OWNER TO corner_shop;\nALTER TABLE visits_new_morning OWNER TO corner_shop;\n\
         ALTER TABLE visits_new_evening OWNER TO corner_shop;\n\
         ALTER TYPE mood OWNER TO corner_shop;\nALTER TABLE public.\"Odd table\" OWNER TO corner_shop",
    );
    let (code, backup) = case.answer(&["backup", "create"]);
    assert_eq!((code, &backup["grade"]), (0, &"proven".into()), "{backup:#}");
    let id = backup["id"].as_str().unwrap();
    world.sql("corner_shop", "DELETE FROM public.\"Odd table\"");
    let live = world.demo(&["hash"]);

    let (code, tables) = case.answer(&["backup", "look", id]);
    let lines = tables["tables"].as_array().unwrap();
    assert!(code == 0 && lines.iter().any(|it| it["table"] == "public.Odd table" && it["rows"] == 2), "{tables:#}");
    let (code, seen) = case.answer(&["backup", "look", id, "--table", "Odd table"]);
    assert_eq!((code, &seen["rows"]), (0, &2.into()), "{seen:#}");
    assert_eq!(seen["columns"], serde_json::json!(["id", "How", "item", "note"]));
    assert_eq!(seen["first_rows"][1], serde_json::json!(["2", "ill", null, null]));
    let database = seen["database"].as_str().unwrap();
    assert_eq!(world.sql(database, "SELECT count(*) FROM public.\"Odd table\""), "2");
    let orders = lines.iter().find(|it| it["table"] == "public.orders").unwrap();
    let (code, seen) = case.answer(&["backup", "look", id, "--table", "public.orders"]);
    assert_eq!((code, &seen["rows"]), (0, &orders["rows"]), "{seen:#}");
    assert!(seen["connect"].as_str().unwrap().contains(seen["database"].as_str().unwrap()), "{seen:#}");

    // One that is in parts, which are in parts again, is one table; a part can be named all the same.
    assert!(lines.iter().any(|it| it["table"] == "public.visits" && it["rows"] == 40), "{tables:#}");
    assert!(!lines.iter().any(|it| it["table"].as_str().unwrap().starts_with("public.visits_")), "{tables:#}");
    for (table, rows) in [("visits", 40), ("visits_new", 30), ("visits_new_morning", 20)] {
        let (code, seen) = case.answer(&["backup", "look", id, "--table", table]);
        assert_eq!((code, &seen["rows"]), (0, &rows.into()), "{table}: {seen:#}");
        assert_eq!(seen["first_rows"].as_array().unwrap().len(), 10, "{seen:#}");
        let beside = seen["database"].as_str().unwrap();
        assert_eq!(world.sql(beside, &format!("SELECT count(*) FROM {table}")), rows.to_string());
        assert_eq!(case.answer(&["backup", "look", "--remove", beside]).0, 0);
    }

    let (code, answer) = case.answer(&["backup", "look", id, "--table", "nobody"]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"unknown_table".into()), "{answer:#}");
    // Nothing but what was made for it is removed by its name.
    for other in ["corner_shop", "as_it_was"] {
        let (code, answer) = case.answer(&["backup", "look", "--remove", other]);
        assert_eq!((code, &answer["error"]["class"]), (3, &"unknown_look".into()), "{answer:#}");
    }
    let (_, listed) = case.answer(&["backup", "look", "--list"]);
    assert_eq!(listed["looks"].as_array().unwrap().len(), 2, "{listed:#}");
    for look in listed["looks"].as_array().unwrap() {
        assert!(look["bytes"].as_u64().unwrap() > 0 && look["backup"] == id, "{look:#}");
        let (code, _) = case.answer(&["backup", "look", "--remove", look["database"].as_str().unwrap()]);
        assert_eq!(code, 0);
    }
    assert_eq!(databases(), before);
    assert_eq!(world.demo(&["hash"])["content"], live["content"]);
}

#[test]
fn a_look_that_is_stopped_or_killed_leaves_nothing_and_tells_how_it_goes() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let databases = || world.sql("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database");
    let before = databases();
    let (_, backup) = case.answer(&["backup", "create"]);
    let id = backup["id"].as_str().unwrap();
    let engine = Engine::at(case.home.clone());
    let look = |person: &Stopping| engine.look_at_table(Path::new(id), "orders", person);
    // Stopped wherever it can be: at each look until it comes through.
    let mut stopped = 0;
    let whole = loop {
        let person = Stopping::after(stopped);
        match look(&person) {
            Err(error) => {
                assert_eq!(error.class, "cancelled", "{error:?}");
                assert_eq!(databases(), before, "something is left of one that was stopped at look {stopped}");
                stopped += 1 + stopped / 3;
            }
            Ok(whole) => {
                assert!(person.told.load(Ordering::Relaxed) > 0, "it tells how it goes");
                break whole;
            }
        }
    };
    assert!(stopped > 2, "it can be stopped while it works");
    let after = databases();
    assert_ne!(after, before);

    // Killed in the middle: what is left is not shown, and goes with the next.
    let mut child = case
        .liftlock(&["backup", "look", id, "--table", "orders"])
        .env("LIFTLOCK_CRASH_AT", "forward/look/mid_effect")
        .env("LIFTLOCK_CRASH_LOG", case.home.root().join("crash.log"))
        .spawn()
        .unwrap();
    assert_eq!(case.end_of(&mut child), Exit::Signal(9));
    assert_ne!(databases(), after, "it was killed with a database begun");
    let looks = engine.looks(&case.name).unwrap();
    assert_eq!(looks.iter().map(|it| &it.database).collect::<Vec<_>>(), [&whole.database]);
    let next = look(&Stopping::after(u32::MAX)).unwrap();
    for database in [whole.database, next.database] {
        engine.remove_look(&case.name, &database).unwrap();
    }
    assert_eq!(databases(), before);
}
