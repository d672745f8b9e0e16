use serde_json::{Value, json};

use super::*;
use crate::model::finding::Severity;

/// A project with a database and a shop, as the user has it and as both of upstream's are unless a case says otherwise.
fn usual() -> Value {
    json!({
        "name": "shop",
        "services": {
            "db": {
                "image": "postgres:16",
                "environment": { "POSTGRES_PASSWORD": "${DB_PASSWORD}" },
                "volumes": [{ "type": "volume", "source": "pgdata", "target": "/var/lib/postgresql/data" }],
            },
            "web": {
                "image": "web:${VERSION:-1}",
                "ports": ["127.0.0.1:8000:8000"],
                "volumes": [{ "type": "bind", "source": "/srv/shop/uploads", "target": "/uploads" }],
            },
        },
        "volumes": { "pgdata": { "name": "shop_pgdata" } },
    })
}

/// The usual one with one place of it changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = usual();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    document
}

fn without(service: &str) -> Value {
    let mut document = usual();
    document["services"].as_object_mut().unwrap().remove(service);
    document
}

/// What is said where upstream's file changes from the first to the last, and the user has the one between.
fn said(documents: [&Value; 3], example: &str, is_taken_over: bool) -> Difference {
    let [before, mine, after] = documents.map(|it| Project::read(it, "/srv/shop"));
    let settings = [("DB_PASSWORD".to_owned(), "s3cret".to_owned())].into();
    compare(&Sides { before: &before, mine: &mine, after: &after, settings: &settings, example, is_taken_over })
}

/// Class, severity and sentence of every finding, with the remedy.
fn lines(difference: &Difference) -> String {
    let line = |it: &Finding| format!("{:?} {}: {} → {}", it.severity, it.class, it.message, it.remedy);
    difference.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn where_nothing_differs_nothing_is_said() {
    for is_taken_over in [true, false] {
        assert_eq!(said([&usual(), &usual(), &usual()], "DB_PASSWORD=\n", is_taken_over), Difference::default());
    }
    // The user's own changes are no business of a release that leaves those places alone.
    let mine = with("/services/web/ports", json!(["0.0.0.0:80:8000"]));
    assert_eq!(said([&usual(), &mine, &usual()], "", true), Difference::default());
    let mine = with("/services/web/volumes", json!(["./files:/uploads"]));
    assert_eq!(said([&usual(), &mine, &usual()], "", false), Difference::default());
}

#[test]
fn every_kind_of_difference_has_its_class_and_its_weight_in_both_ways() {
    use Severity::{Note, Stop, Warning};

    let volume = |source: &str, target: &str| json!([{ "type": "volume", "source": source, "target": target }]);
    let data = "/var/lib/postgresql/data";
    let place = "/services/db/volumes";
    // What upstream's new file says; what is found where it is taken over; what where the user's stays.
    let cases: [(&str, Value, &str, Severity, Option<Severity>); 12] = [
        ("a renamed volume", with(place, volume("filaops_pgdata", data)), "volume_renamed", Stop, Some(Note)),
        (
            "a volume at another folder",
            with(place, volume("pgdata", "/var/lib/postgresql")),
            "volume_changed",
            Stop,
            Some(Note),
        ),
        ("a volume that is gone", with(place, json!([])), "volume_changed", Stop, Some(Note)),
        (
            "a folder instead of a volume",
            with(place, json!([format!("./pg:{data}")])),
            "volume_changed",
            Stop,
            Some(Note),
        ),
        (
            "another folder",
            with("/services/web/volumes", json!(["./files:/uploads"])),
            "volume_changed",
            Stop,
            Some(Note),
        ),
        (
            "a volume named for all projects",
            with("/volumes/pgdata", json!({ "name": "other" })),
            "volume_renamed",
            Stop,
            Some(Note),
        ),
        ("a newer database", with("/services/db/image", json!("postgres:17")), "database_major", Stop, Some(Warning)),
        (
            "an older database",
            with("/services/db/image", json!("postgres:15-alpine")),
            "database_older",
            Stop,
            Some(Warning),
        ),
        (
            "a further service",
            with("/services/cache", json!({ "image": "redis:7" })),
            "service_new",
            Warning,
            Some(Warning),
        ),
        (
            "a further service that one needs",
            {
                let mut after = with("/services/cache", json!({ "image": "redis:7" }));
                after["services"]["web"]["depends_on"] = json!({ "cache": { "condition": "service_started" } });
                after
            },
            "service_needed",
            Stop,
            Some(Warning),
        ),
        ("a service less", without("web"), "service_gone", Warning, Some(Warning)),
        (
            "other ports",
            with("/services/web/ports", json!(["127.0.0.1:9000:8000"])),
            "port_changed",
            Warning,
            Some(Note),
        ),
    ];
    for (what, after, class, taken, kept) in cases {
        for (is_taken_over, severity) in [(true, Some(taken)), (false, kept)] {
            let difference = said([&usual(), &usual(), &after], "", is_taken_over);
            let found: Vec<_> = difference.findings.iter().map(|it| (it.class.as_str(), Some(it.severity))).collect();
            // What the user's own file says stays so, whatever others call it.
            let class = match class {
                "volume_renamed" if !is_taken_over => "volume_changed",
                "database_older" if !is_taken_over => "database_major",
                "service_needed" if !is_taken_over => "service_new",
                class => class,
            };
            assert_eq!(found, [(class, severity)], "{what}, taken over: {is_taken_over}");
        }
    }
    // A minor release of the database opens the same data.
    assert_eq!(
        said([&usual(), &usual(), &with("/services/db/image", json!("postgres:16.4"))], "", true),
        Difference::default()
    );
}

#[test]
fn the_users_own_place_for_the_data_counts_and_not_the_one_upstream_had() {
    let volume = |source: &str| json!([{ "type": "volume", "source": source, "target": "/var/lib/postgresql/data" }]);
    let renamed = with("/services/db/volumes", volume("filaops_pgdata"));
    // Someone who renamed it before upstream did has nothing to fear.
    assert_eq!(said([&usual(), &renamed, &renamed], "", true), Difference::default());
    // Someone whose volume was never upstream's loses sight of it, though upstream changed nothing.
    let found = said([&usual(), &renamed, &usual()], "", true);
    assert_eq!(found.findings.iter().map(|it| it.class.as_str()).collect::<Vec<_>>(), ["volume_renamed"]);
}

#[test]
fn ports_that_the_user_has_chosen_are_a_conflict() {
    let mine = with("/services/web/ports", json!(["0.0.0.0:80:8000"]));
    let after = with("/services/web/ports", json!(["127.0.0.1:9000:8000"]));
    insta::assert_snapshot!(lines(&said([&usual(), &mine, &after], "", true)), @r#"
    Warning port_conflict: The new version changes the ports of web to 127.0.0.1:9000→8000, and you have chosen 0.0.0.0:80→8000 yourself. → The new version runs by its own compose file: tell whoever visits it, or put a proxy in front of it at your ports.
    "#);
}

#[test]
fn settings_that_are_missing_are_asked_for_with_a_reason() {
    let mut after = usual();
    after["services"]["web"]["environment"] = json!({
        "A": "${SECRET_KEY:?}", "B": "${MAIL_FROM}", "C": "${CURRENCY:?the shop does not start without it}",
        "D": "${COLOUR:-blue}", "E": "${DB_PASSWORD}",
    });
    let example =
        "# Who mail comes from.\n# One address.\nMAIL_FROM=shop@example.org\n\nCURRENCY=EUR\nSECRET_KEY=changeme\n";
    let difference = said([&usual(), &usual(), &after], example, false);
    assert_eq!(difference.findings, [], "a question is no finding");
    insta::assert_debug_snapshot!(difference.questions, @r#"
    [
        Question {
            name: "CURRENCY",
            why: Some(
                "the shop does not start without it",
            ),
            default: Some(
                "EUR",
            ),
        },
        Question {
            name: "MAIL_FROM",
            why: Some(
                "Who mail comes from. One address.",
            ),
            default: Some(
                "shop@example.org",
            ),
        },
        Question {
            name: "SECRET_KEY",
            why: None,
            default: Some(
                "changeme",
            ),
        },
    ]
    "#);
}

#[test]
fn what_was_empty_before_is_no_new_question() {
    let bare = with("/services/web/environment", json!({ "MAIL": "${MAIL_FROM}" }));
    assert_eq!(said([&bare, &bare, &bare], "", true), Difference::default());
    // What it refuses to go without is one all the same.
    let strict = with("/services/web/environment", json!({ "MAIL": "${MAIL_FROM:?}" }));
    assert_eq!(said([&bare, &bare, &strict], "", true).questions.len(), 1);
}

#[test]
fn the_gravest_comes_first_and_reads_well() {
    let mut after = with("/services/db/image", json!("postgres:17"));
    after["services"]["cache"] = json!({ "image": "redis:7" });
    after["services"]["web"]["ports"] = json!(["8000:8000"]);
    after["services"]["db"]["volumes"] = json!(["filaops_pgdata:/var/lib/postgresql/data"]);
    insta::assert_snapshot!(lines(&said([&usual(), &usual(), &after], "", true)), @r#"
    Stop database_major: The new version brings PostgreSQL 17 for the service db, and your data is of PostgreSQL 16: it would not start. → Say `liftlock move-data`: your data is made anew by PostgreSQL 17 on a volume of its own and compared row by row, and the application is away meanwhile. The old volume is kept. Then update.
    Warning service_new: The new version has a further service, cache, which the profile that Liftlock goes by does not know: Liftlock does not start it, and backs up nothing of it. → Read in the release notes what it is for. Where you want it, start it yourself after the update: it stands in the compose file below .liftlock/releases.
    Warning port_changed: The new version changes the ports of web from 127.0.0.1:8000→8000 to 8000→8000. → Tell whoever visits it, and change a proxy in front of it.
    "#);
    insta::assert_snapshot!(lines(&said([&usual(), &usual(), &after], "", false)), @r#"
    Warning database_major: The makers of the new version run it with PostgreSQL 17; your service db stays at PostgreSQL 16. → Read in the release notes whether the new version still works with yours. The rehearsal shows whether its migrations do.
    Warning service_new: The new version's own project has a further service, cache, which yours lacks. → Read in the release notes whether it is needed, and add it to your compose file before you update: Liftlock never rewrites it.
    Note volume_changed: In the new version's own project /var/lib/postgresql/data stands on the volume filaops_pgdata instead of the volume pgdata in the service db; yours stays as it is. → Nothing needs to be done.
    Note port_changed: The new version's own project has other ports for web: 8000→8000; yours stay 127.0.0.1:8000→8000. → Where the new version listens elsewhere inside of its container, change your compose file before you update.
    "#);
}

#[test]
fn a_volume_under_another_name_is_known_by_what_the_engine_calls_it() {
    let volume = |source: &str| json!([{ "type": "volume", "source": source, "target": "/var/lib/postgresql/data" }]);
    let place = "/services/db/volumes";
    let renamed = |documents: [&Value; 3]| {
        let [before, mine, after] = documents.map(|it| Project::read(it, "/srv/shop"));
        let settings = BTreeMap::new();
        let sides = Sides {
            before: &before,
            mine: &mine,
            after: &after,
            settings: &settings,
            example: "",
            is_taken_over: true,
        };
        renamed_volumes(&sides).into_iter().map(|it| (it.key, it.volume)).collect::<Vec<_>>()
    };
    let pair = |key: &str, volume: &str| (key.to_owned(), volume.to_owned());
    let mut after = with(place, volume("data"));
    after["volumes"] = json!({ "data": { "name": "shop_data" } });
    // Told once, although two services have it.
    let mut mine = usual();
    mine["services"]["worker"] = json!({ "image": "web:1", "volumes": volume("pgdata") });
    after["services"]["worker"] = json!({ "image": "web:1", "volumes": volume("data") });
    assert_eq!(renamed([&usual(), &mine, &after]), [pair("data", "shop_pgdata")]);
    // The same key that means another volume.
    let other = with("/volumes/pgdata", json!({ "name": "other" }));
    assert_eq!(renamed([&usual(), &usual(), &other]), [pair("pgdata", "shop_pgdata")]);
    // Once it is said, nothing differs.
    after["volumes"] = json!({ "data": { "name": "shop_pgdata", "external": true } });
    assert_eq!(renamed([&usual(), &mine, &after]), []);
    assert_eq!(said([&usual(), &mine, &after], "", true).findings, []);
    // A name that has its own meaning in the user's project is not given to the data of another.
    mine["services"]["web"]["volumes"] = volume("data");
    mine["volumes"]["data"] = json!({ "name": "shop_data" });
    after["volumes"] = json!({ "data": { "name": "shop_data" } });
    assert_eq!(renamed([&usual(), &mine, &after]), []);
    let found = said([&usual(), &mine, &after], "", true).findings;
    assert!(found.iter().any(|it| it.class == "volume_changed"), "{found:?}");
}
