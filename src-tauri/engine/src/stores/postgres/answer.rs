//! What a server or one of its tools answered, as an error with a class, a sentence and a remedy.
//!
//! A statement that failed is told by its SQLSTATE, whatever the language of the server. A connection that
//! did not come about has no SQLSTATE in the tools' output, so there the words decide, and words that are not
//! known still give a useful error.

use crate::error::Error;

/// The error for a statement that failed with `state` (five characters) and the server's own `message`.
pub(super) fn from_state(state: &str, message: &str, details: impl IntoIterator<Item = String>) -> Error {
    let class = class_of_state(state);
    details.into_iter().fold(described(class, message).detail(format!("{state}: {message}")), Error::detail)
}

/// The error for a tool that ended with a failure and these last words. `doing` completes "could not …".
pub(super) fn from_words(doing: &str, words: &str) -> Error {
    let told = words.lines().rev().find(|line| is_telling(line)).or_else(|| words.lines().last()).unwrap_or_default();
    let mut error = described(class_of_words(words), told.trim());
    if error.class == UNKNOWN {
        error.message = format!("PostgreSQL could not {doing}.");
    }
    let skip = words.lines().count().saturating_sub(20);
    words.lines().skip(skip).map(str::trim_end).filter(|it| !it.is_empty()).fold(error, |error, it| error.detail(it))
}

/// Whether this error says that the connection is gone, so that nothing is known of what was under way.
pub fn is_cut(error: &Error) -> bool {
    matches!(
        error.class.as_ref(),
        "connection_lost"
            | "connection_refused"
            | "timeout"
            | "server_starting"
            | "dns"
            | "docker_down"
            | "container_down"
    )
}

const UNKNOWN: &str = "database_error";

fn is_telling(line: &str) -> bool {
    ["error:", "ERROR:", "FATAL:", "PANIC:"].iter().any(|it| line.contains(it))
}

fn class_of_state(state: &str) -> &'static str {
    match state {
        "3D000" => "database_missing",
        "42501" => "insufficient_rights",
        "53300" => "too_many_connections",
        "53100" => "disk_full",
        "55006" => "database_in_use",
        "55P03" | "40P01" => "database_locked",
        "57014" => "timeout",
        "57P03" => "server_starting",
        "57P01" | "57P02" | "57P05" => "connection_lost",
        "42P01" | "42703" => "table_gone",
        "42P04" => "already_there",
        "25006" => "read_only",
        "55000" => "not_possible_now",
        "58030" | "58P01" | "58P02" => "server_disk",
        "XX001" | "XX002" => "data_corrupted",
        _ if state.starts_with("08") => "connection_lost",
        _ if state.starts_with("28") => "auth_failed",
        _ if state.starts_with("53") => "server_exhausted",
        _ => UNKNOWN,
    }
}

/// Known words of libpq, of the server before a session stands, and of the tools; the first that fits decides.
const WORDS: &[(&str, &str)] = &[
    ("password authentication failed", "auth_failed"),
    ("no password supplied", "auth_failed"),
    ("no pg_hba.conf entry", "auth_failed"),
    ("authentication failed", "auth_failed"),
    ("is not permitted to log in", "auth_failed"),
    ("could not translate host name", "dns"),
    ("Name or service not known", "dns"),
    ("the database system is", "server_starting"),
    ("too many connections", "too_many_connections"),
    ("too many clients", "too_many_connections"),
    ("remaining connection slots", "too_many_connections"),
    ("not currently accepting connections", "database_closed"),
    ("No space left on device", "disk_full"),
    ("permission denied", "insufficient_rights"),
    ("must be owner", "insufficient_rights"),
    ("must be superuser", "insufficient_rights"),
    ("must be member of role", "insufficient_rights"),
    ("must be able to SET ROLE", "insufficient_rights"),
    ("must have CREATE privilege", "insufficient_rights"),
    ("query would be affected by row-level security", "insufficient_rights"),
    ("canceling statement due to lock timeout", "database_locked"),
    ("could not obtain lock", "database_locked"),
    ("lock timeout", "database_locked"),
    ("statement timeout", "timeout"),
    ("timeout expired", "timeout"),
    ("timed out", "timeout"),
    ("No route to host", "timeout"),
    ("Network is unreachable", "timeout"),
    ("Connection refused", "connection_refused"),
    ("Is the server running", "connection_refused"),
    ("terminating connection", "connection_lost"),
    ("server closed the connection", "connection_lost"),
    ("connection to server was lost", "connection_lost"),
    ("Connection reset", "connection_lost"),
    ("could not receive data from server", "connection_lost"),
    ("SSL", "tls"),
    ("certificate", "tls"),
    ("end of file", "archive_damaged"),
    ("input file is too short", "archive_damaged"),
    ("did not find magic string", "archive_damaged"),
    ("does not appear to be a valid archive", "archive_damaged"),
    ("unsupported version", "archive_unsupported"),
    ("server version mismatch", "tools_too_old"),
];

fn class_of_words(words: &str) -> &'static str {
    // How pg_dump says that it waited long enough for a table.
    if words.contains("statement timeout") && words.contains("Query was: LOCK TABLE") {
        return "database_locked";
    }
    if let Some((_, class)) = WORDS.iter().find(|(known, _)| words.contains(known)) {
        return class;
    }
    if words.contains("ERROR:")
        && words.contains("does not exist")
        && [" relation ", " column "].iter().any(|it| words.contains(it))
    {
        return "table_gone";
    }
    // FATAL: database "shop" does not exist; the same words with "role" are a matter of who asks.
    if words.contains("FATAL") && words.contains("does not exist") {
        return if words.contains("role ") { "auth_failed" } else { "database_missing" };
    }
    UNKNOWN
}

/// What is said of a class, whatever server it is of; `told` where nothing is known of it.
pub(in crate::stores) fn described(class: &'static str, told: &str) -> Error {
    let (message, remedy) = match class {
        "auth_failed" => (
            "The database server did not accept the user or the password.",
            "Check the user and password in the settings of the application, and that the server allows this user to \
             connect from here.",
        ),
        "dns" => (
            "The name of the database server could not be found.",
            "Check the name of the server in the settings of the application, and the network.",
        ),
        "server_starting" => (
            "The database server is starting or shutting down.",
            "Wait a minute, then try again. If it stays so, look at the log of the database server.",
        ),
        "too_many_connections" => (
            "The database server has no connection free.",
            "Close programs that use the database, or raise max_connections on the server, then try again.",
        ),
        "database_closed" => (
            "The database does not accept connections at the moment.",
            "It was closed on purpose, perhaps by an upgrade that was interrupted. Run “liftlock status”.",
        ),
        "database_missing" => (
            "There is no database of this name on the server.",
            "Check the name of the database in the settings of the application.",
        ),
        "table_gone" => (
            "A table or a column is not there any more.",
            "It was changed meanwhile. Wait until nobody changes the tables, an update for example, then try again.",
        ),
        "disk_full" => ("The disk of the database server is full.", "Free some space on that disk, then try again."),
        "insufficient_rights" => (
            "The user of the database lacks a right that is needed for this.",
            "Let an administrator of the database server grant it, or give Liftlock an administrator's connection.",
        ),
        "database_in_use" => {
            ("Other programs are using the database.", "Close the programs that use it, then try again.")
        }
        "database_locked" => (
            "Another program holds a lock on the data and does not let go.",
            "Close the program that works on the database, or let it finish, then try again.",
        ),
        "timeout" => (
            "The database server did not answer in time.",
            "Check that the server runs, that it can be reached from here, and that it is not overloaded.",
        ),
        "connection_refused" => (
            "The database server does not answer at its address.",
            "Start the database server, and check its address and port in the settings of the application.",
        ),
        "connection_lost" => (
            "The connection to the database server was lost.",
            "Check that the server runs and can be reached, then try again.",
        ),
        "tls" => (
            "No secure connection to the database server could be made.",
            "Check the certificate of the server and the setting for secure connections.",
        ),
        "read_only" => (
            "The database can only be read, not changed.",
            "It may be a standby server, or set to read-only. Connect to the server that can be written to.",
        ),
        "server_disk" => (
            "The database server could not read or write its files.",
            "Check the disk of the database server and its log before anything else.",
        ),
        "data_corrupted" => (
            "The database server found damaged data.",
            "Do not change anything. Check the disk and the server's log, and keep your last good backup.",
        ),
        "server_exhausted" => (
            "The database server ran out of memory or another resource.",
            "Give the server more memory or close other programs, then try again.",
        ),
        "already_there" => (
            "There is already a database of this name on the server.",
            "Look at what it is. If it may go, remove or rename it, then try again.",
        ),
        "archive_damaged" => (
            "The backup file is damaged or incomplete.",
            "Use another backup, and check the disk on which this one lies.",
        ),
        "archive_unsupported" => (
            "The backup file was made by a newer version of PostgreSQL's tools.",
            "Install the PostgreSQL tools of the version that made it.",
        ),
        "tools_too_old" => (
            "The PostgreSQL tools on this machine are older than the database server.",
            "Install the PostgreSQL client tools of the server's version.",
        ),
        _ => {
            return Error::failed(class, format!("The database server reported an error: {}", plain(told)))
                .remedy("Look at the details and at the log of the database server, then try again.");
        }
    };
    Error::failed(class, message).remedy(remedy)
}

/// The server's sentence without the tool's name and severity before it.
fn plain(told: &str) -> &str {
    ["ERROR:", "FATAL:", "PANIC:", "error:"]
        .iter()
        .find_map(|word| told.split_once(word).map(|(_, rest)| rest.trim()))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_tools_are_told_apart() {
        let class = |words: &str| from_words("connect", words).class.into_owned();
        assert_eq!(class("psql: error: FATAL:  password authentication failed for user \"shop\""), "auth_failed");
        assert_eq!(class("psql: error: FATAL:  role \"nobody\" does not exist"), "auth_failed");
        assert_eq!(class("psql: error: FATAL:  database \"nope\" does not exist"), "database_missing");
        assert_eq!(
            class("connection to server on socket \"/x\" failed: No such file\n\tIs the server running"),
            "connection_refused"
        );
        assert_eq!(class("pg_restore: error: could not read from input file: end of file"), "archive_damaged");
        assert_eq!(class("ERROR:  relation \"public.b\" does not exist\nLINE 1: COPY"), "table_gone");
        assert_eq!(class("ERROR:  column \"b\" does not exist"), "table_gone");
        assert_eq!(class("pg_dump: error: something new"), UNKNOWN);
        assert_eq!(class(""), UNKNOWN);
    }

    #[test]
    fn every_error_says_what_to_do_next() {
        for (_, class) in WORDS {
            let error = described(class, "x");
            assert!(!error.remedy.is_empty() && !error.message.ends_with("error: x"), "{class} is not described");
        }
        for state in
            ["3D000", "42501", "42P01", "53100", "55006", "57014", "08006", "28P01", "53200", "XX001", "99999", ""]
        {
            assert!(!from_state(state, "x", None).remedy.is_empty());
        }
    }
}
