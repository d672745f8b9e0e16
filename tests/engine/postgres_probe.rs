//! The probe that asks a database, against real servers.

use std::time::Duration;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::model::profile::Endpoint;
use liftlock_engine::probes::{Ask, Outcome, Question, World, ask};
use liftlock_engine::process::{Silent, SystemRunner};

use crate::cluster::{self, PASSWORD, SUPERUSER};

fn class(change: impl FnOnce(&mut Endpoint)) -> String {
    let mut endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: cluster::shared().port,
        database: "postgres".to_owned(),
        user: SUPERUSER.to_owned(),
        password: Some(PASSWORD.to_owned()),
        parameters: Vec::new(),
    };
    change(&mut endpoint);
    let question = Question {
        name: "database".to_owned(),
        required: true,
        timeout: Duration::from_secs(10),
        ask: Ask::Postgres { endpoint, inside: None },
    };
    let world = World { runner: &SystemRunner::new(), clock: &SystemClock, reporter: &Silent };
    match ask(&question, world).unwrap().outcome {
        Outcome::Up { .. } => "up".to_owned(),
        Outcome::Down { error_class, message, remedy, .. } => {
            assert!(!remedy.is_empty());
            assert!(!message.contains(PASSWORD), "{message}");
            error_class
        }
    }
}

#[test]
fn a_database_that_answers_is_up_and_what_is_wrong_is_told_apart() {
    assert_eq!(class(|_| ()), "up");
    assert_eq!(class(|it| it.password = Some("wrong".to_owned())), "auth_failed");
    assert_eq!(class(|it| it.password = None), "auth_failed");
    assert_eq!(class(|it| it.user = "nobody_at_all".to_owned()), "auth_failed");
    assert_eq!(class(|it| it.database = "no_such_database".to_owned()), "database_missing");
    assert_eq!(class(|it| it.host = "no-such-host.invalid".to_owned()), "dns");
    assert_eq!(class(|it| it.parameters = vec![("sslmode".to_owned(), "require".to_owned())]), "tls");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(class(|it| it.port = free), "connection_refused");
}
