//! Asking a PostgreSQL database, through `psql` where there is one. Without it, that the port answers must do.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use super::{World, command, disk_full, mentions_full_disk, net};
use crate::docker::InContainer;
use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::Invocation;
use crate::process::{find_program, printable};
use crate::stores::postgres::Inside;

pub(super) fn probe(endpoint: &Endpoint, timeout: Duration, world: World<'_>) -> Result<()> {
    let Some(psql) = newest_psql() else {
        return net::probe(&endpoint.host, endpoint.port, timeout);
    };
    let done = command::run(&question(psql, endpoint, timeout), timeout, world)?;
    if done.succeeded() && done.stdout.trim() == "1" {
        return Ok(());
    }
    Err(read(&done.stderr, endpoint))
}

/// The same beside the server in its container.
pub(super) fn probe_inside(endpoint: &Endpoint, inside: &Inside, timeout: Duration, world: World<'_>) -> Result<()> {
    let container = inside.project.running(&inside.service)?.id;
    let runner = InContainer::new(Arc::clone(inside.project.docker().runner()), container);
    let here = Endpoint { host: "127.0.0.1".to_owned(), ..endpoint.clone() };
    let done = command::run(&question("psql".into(), &here, timeout), timeout, World { runner: &runner, ..world })?;
    if done.succeeded() && done.stdout.trim() == "1" {
        return Ok(());
    }
    Err(read(&done.stderr, endpoint))
}

/// Debian's own `psql` first: the one in `PATH` there is a script that looks for it, which takes ten times as long.
fn newest_psql() -> Option<PathBuf> {
    let majors = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = majors.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok()).max();
    let debian = newest.map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/psql")));
    debian.filter(|it| it.is_file()).or_else(|| find_program("psql"))
}

/// The words to say. The password travels as a variable, which only this user's processes can read.
fn question(psql: PathBuf, endpoint: &Endpoint, timeout: Duration) -> Invocation {
    let seconds = timeout.as_secs().clamp(2, 600);
    let mut invocation = Invocation::new(psql)
        .args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--quiet", "--command", "select 1"])
        .env("PGHOST", &endpoint.host)
        .env("PGPORT", endpoint.port.to_string())
        .env("PGDATABASE", &endpoint.database)
        .env("PGUSER", &endpoint.user)
        .env("PGCONNECT_TIMEOUT", seconds.to_string())
        .env("PGAPPNAME", "liftlock")
        // What goes wrong is recognised by its English words.
        .env("LC_ALL", "C");
    if let Some(password) = &endpoint.password {
        invocation = invocation.env("PGPASSWORD", password);
    }
    for (key, value) in &endpoint.parameters {
        if let Some(variable) = variable(key) {
            invocation = invocation.env(variable, value);
        }
    }
    invocation
}

/// The variable of a parameter that bears on how a connection is made.
fn variable(parameter: &str) -> Option<&'static str> {
    Some(match parameter {
        "sslmode" => "PGSSLMODE",
        "sslrootcert" => "PGSSLROOTCERT",
        "sslcert" => "PGSSLCERT",
        "sslkey" => "PGSSLKEY",
        "channel_binding" => "PGCHANNELBINDING",
        "options" => "PGOPTIONS",
        _ => return None,
    })
}

/// What `psql` said, understood.
fn read(words: &str, endpoint: &Endpoint) -> Error {
    let text = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|it| text.contains(it));
    let place = format!("The database {} on {}", endpoint.database, endpoint.host);
    if mentions_full_disk(words) {
        return disk_full(&place);
    }
    let has_no_role = says(&["role \""]) && says(&["does not exist"]);
    let is_kept_out = says(&["password authentication failed", "no password supplied", "no pg_hba.conf entry"]);
    let error = if has_no_role || is_kept_out {
        Error::failed("auth_failed", format!("{place} did not let the user {} in.", endpoint.user))
            .remedy("Check the user and password of the database in the settings of the application.")
    } else if says(&["could not translate host name"]) {
        Error::failed("dns", format!("There is no computer called {}.", endpoint.host))
            .remedy("Check the name of the database's host in the settings of the application.")
    } else if says(&["does not exist"]) {
        Error::failed("database_missing", format!("{place} does not exist."))
            .remedy("Check the name of the database in the settings of the application.")
    } else if says(&["connection refused", "no such file or directory"]) {
        Error::failed("connection_refused", format!("{place} takes no connection."))
            .remedy("Start the database server, and compare its port with the settings of the application.")
    } else if says(&["starting up", "shutting down", "recovery mode"]) {
        Error::failed("starting", format!("{place} is starting up or shutting down."))
            .remedy("Wait a moment, then try again.")
    } else if says(&["too many clients", "remaining connection slots"]) {
        Error::failed("overloaded", format!("{place} takes no more connections."))
            .remedy("Close programs that use it, or raise its max_connections.")
    } else if says(&["timeout expired", "timed out"]) {
        Error::failed("timeout", format!("{place} did not answer in time."))
            .remedy("Look at the log of the database server. A firewall may also swallow the question.")
    } else if says(&["ssl", "certificate"]) {
        Error::failed("tls", format!("{place} and this computer could not agree on a secure connection."))
            .remedy("Check sslmode and the certificates in the settings of the application.")
    } else {
        Error::failed("query_failed", format!("{place} did not answer a simple question."))
            .remedy("Look at the log of the database server.")
    };
    match words.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => error.detail(printable(line.trim())),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "db.lan".to_owned(),
            port: 5432,
            database: "shop".to_owned(),
            user: "shop".to_owned(),
            password: Some("hunter2".to_owned()),
            parameters: vec![("sslmode".to_owned(), "require".to_owned()), ("schema".to_owned(), "x".to_owned())],
        }
    }

    #[test]
    fn the_password_is_neither_an_argument_nor_shown() {
        let words = question("psql".into(), &endpoint(), Duration::from_secs(5));
        assert!(!format!("{words:?}").contains("hunter2"));
        assert!(words.env.contains(&("PGPASSWORD".into(), "hunter2".into())));
        assert!(words.env.contains(&("PGSSLMODE".into(), "require".into())));
    }

    #[test]
    fn what_psql_says_is_understood() {
        let cases = [
            (
                "psql: error: connection to server at \"db\" failed: FATAL:  password authentication failed for user \"shop\"",
                "auth_failed",
            ),
            ("psql: error: connection to server failed: FATAL:  role \"shop\" does not exist", "auth_failed"),
            ("psql: error: connection to server failed: FATAL:  database \"shop\" does not exist", "database_missing"),
            ("psql: error: could not translate host name \"db.lan\" to address: Name or service not known", "dns"),
            (
                "psql: error: connection to server at \"127.0.0.1\", port 1 failed: Connection refused",
                "connection_refused",
            ),
            ("psql: error: connection to server failed: FATAL:  the database system is starting up", "starting"),
            ("psql: error: connection to server failed: FATAL:  sorry, too many clients already", "overloaded"),
            ("psql: error: connection to server failed: timeout expired", "timeout"),
            ("psql: error: connection to server failed: server does not support SSL, but SSL was required", "tls"),
            ("ERROR:  could not extend file \"base/1\": No space left on device", "disk_full"),
            ("", "query_failed"),
        ];
        for (words, class) in cases {
            let error = read(words, &endpoint());
            assert_eq!(error.class, class, "{words}");
            assert!(!error.remedy.is_empty());
        }
    }
}
