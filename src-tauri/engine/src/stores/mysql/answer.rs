//! What the client of MySQL or MariaDB said at its end, as an error with a class, a sentence and a remedy. Its number
//! decides, whatever its language.

use crate::error::Error;
use crate::stores::postgres::described;
use crate::stores::tables::{self, VANISHED};

/// The error for these last words.
pub(super) fn from_words(words: &str) -> Error {
    let told = words.lines().rev().find_map(|line| line.split_once("ERROR ").map(|(_, rest)| rest));
    let code = told.and_then(|it| it.split_whitespace().next()?.trim_end_matches(':').parse().ok());
    let class = code.map_or("connection_lost", class_of);
    let message = told.and_then(|it| it.split_once(": ")).map_or("", |(_, message)| message);
    let error = match class {
        VANISHED => tables::vanished(),
        class => described(class, message),
    };
    words.lines().map(str::trim).filter(|it| !it.is_empty()).fold(error, Error::detail)
}

fn class_of(code: u16) -> &'static str {
    match code {
        1044 | 1045 | 1251 | 1524 | 1698 | 1820 | 1862 | 2054 | 2059 | 2061 | 3118 | 4151 => "auth_failed",
        1040 | 1203 | 1226 => "too_many_connections",
        1049 => "database_missing",
        1142 | 1143 | 1227 | 1356 | 1370 => "insufficient_rights",
        1051 | 1054 | 1146 | 1412 => VANISHED,
        1021 | 1037 | 1038 | 1041 => "server_exhausted",
        1205 | 1213 => "database_locked",
        1034 | 1035 | 1194 | 1712 => "data_corrupted",
        2002 | 2003 => "connection_refused",
        2005 => "dns",
        2026 => "tls",
        1053 | 1152 | 1184 | 1927 | 2006 | 2013 => "connection_lost",
        1317 | 1969 | 3024 => "timeout",
        _ => "database_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_client_are_told_apart() {
        let class = |words: &str| from_words(words).class.into_owned();
        assert_eq!(class("ERROR 1045 (28000): Access denied for user 'shop'@'localhost'"), "auth_failed");
        assert_eq!(class("ERROR 1412 (HY000) at line 9: Table definition has changed"), VANISHED);
        assert_eq!(class("ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)"), "connection_refused");
        let new = from_words("ERROR 9999 (HY000) at line 2: something: new");
        assert_eq!((new.class.as_ref(), new.message.contains("something: new")), ("database_error", true));
        assert_eq!(class(""), "connection_lost");
    }
}
