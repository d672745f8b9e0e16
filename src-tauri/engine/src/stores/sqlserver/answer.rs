//! What our client for SQL Server said at its end, as an error with a class, a sentence and a remedy. The server's number
//! decides, whatever its language.

use serde::Deserialize;

use crate::error::Error;
use crate::stores::postgres::described;
use crate::stores::tables::{self, VANISHED};

/// The client's last line.
#[derive(Deserialize)]
struct Told {
    kind: String,
    number: Option<u32>,
    message: String,
}

/// The error for these last words.
pub(super) fn from_words(words: &str) -> Error {
    let Some(told) = words.lines().rev().find_map(|line| serde_json::from_str::<Told>(line).ok()) else {
        let error = described("connection_lost", "");
        return words.lines().map(str::trim).filter(|it| !it.is_empty()).fold(error, Error::detail);
    };
    let error = match (told.kind.as_str(), told.number) {
        ("server", Some(number)) => of_number(number, &told.message),
        ("refused", _) => described("connection_refused", ""),
        ("timeout", _) => described("timeout", ""),
        ("dns", _) => described("dns", ""),
        ("tls", _) => described("tls", ""),
        ("instance", _) => Error::failed("instance_missing", "The instance of the database server could not be found.")
            .remedy("Check the name of the instance, and that the SQL Server Browser runs there and port 1434 (UDP) is open. Or write the port of the instance into the profile."),
        ("certificate", _) => Error::refused("certificate_not_trusted", "The certificate of the database server is signed by nobody that this machine knows, or is for another name.")
            .remedy("Name the certificate of its authority in the profile (authority = \"server.pem\"), or accept any certificate there (encryption = \"unverified\") where nobody else can be on the way to the server."),
        ("not_offered", _) => Error::refused("not_encrypted", "The database server does not offer an encrypted connection.")
            .remedy("Let it offer one. A server on this very machine can be read without (encryption = \"none\" in the profile)."),
        ("text", _) => Error::failed("text_damaged", "A text in the database is no valid text, and cannot be written exactly.")
            .remedy("Correct it in the database, or leave its column out (leave_out in the profile)."),
        ("lost", _) => described("connection_lost", ""),
        // What the client could not make sense of, it or we are at fault.
        _ => Error::failed("bad_answer", "The database server answered in a form that Liftlock cannot read.")
            .remedy("Report it with the version of the database server. Nothing was changed."),
    };
    let number = told.number.map(|it| format!("{it}: ")).unwrap_or_default();
    error.detail(format!("{number}{}", told.message))
}

fn of_number(number: u32, message: &str) -> Error {
    match class_of(number) {
        VANISHED => tables::vanished(),
        "database_missing" => described("database_missing", message)
            .remedy("Check the name of the database, and that this user may open it."),
        class => described(class, message),
    }
}

fn class_of(number: u32) -> &'static str {
    match number {
        18452 | 18456 | 18470 | 18486..=18488 => "auth_failed",
        911 | 4060 | 4063 => "database_missing",
        229 | 230 | 262 | 297 | 300 | 916 => "insufficient_rights",
        207 | 208 | 3961 => VANISHED,
        1205 | 1222 => "database_locked",
        927 | 942 | 922 | 6005 | 17142 | 17187 => "server_starting",
        10928 | 10929 | 17300 | 17809 => "too_many_connections",
        1105 | 9002 => "disk_full",
        701 | 802 | 3958 | 3966 | 3967 | 8645 | 8651 => "server_exhausted",
        605 | 823..=825 => "data_corrupted",
        _ => "database_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_client_are_told_apart() {
        let class = |words: &str| from_words(words).class.into_owned();
        let server = |number: u32| class(&format!(r#"{{"kind":"server","number":{number},"message":"no"}}"#));
        assert_eq!(
            [server(18456), server(4060), server(229)],
            ["auth_failed", "database_missing", "insufficient_rights"]
        );
        assert_eq!([server(3961), server(1222), server(99_999)], [VANISHED, "database_locked", "database_error"]);
        let of_kind = |kind: &str| class(&format!(r#"{{"kind":"{kind}","message":"no"}}"#));
        assert_eq!(
            [of_kind("certificate"), of_kind("lost"), of_kind("dns")],
            ["certificate_not_trusted", "connection_lost", "dns"]
        );
        assert_eq!([of_kind("protocol"), of_kind("instance")], ["bad_answer", "instance_missing"]);
        assert_eq!(class("killed"), "connection_lost");
        let new = from_words("noise\n{\"kind\":\"server\",\"number\":77,\"message\":\"something new\"}");
        assert!(new.message.contains("something new") && !new.remedy.is_empty(), "{new:?}");
    }
}
