//! Passwords and tokens in memory: never shown, never serialised unless a caller says so, wiped when dropped.
//!
//! What others print cannot be typed that way: a migration that echoes its environment, a server that quotes an
//! address. So every secret that this process has held is known by value, and [`masked`] takes it out of each line,
//! message and error on its way to a log, the state, the history, a receipt or a screen. Names, paths and identities that
//! Liftlock itself acts upon never pass through here: a password may be an ordinary word.

pub mod keychain;

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroize;

use crate::error::Error;

/// What stands in the place of a secret.
const MASK: &str = "«redacted»";

/// A shorter one stands in half of all words by chance; masking it would tell more than it hides.
const SHORTEST: usize = 4;

/// Every secret of this process, as it is and as it stands in addresses; longest first, so that none is left in part.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Knows a secret that is held as text, because it came out of an address.
pub(crate) fn remember(secret: &str) {
    let escaped = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    for form in [secret, escaped.as_str()] {
        if form.len() < SHORTEST || KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter().any(|it| it == form) {
            continue;
        }
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        known.push(form.to_owned());
        known.sort_unstable_by_key(|it| std::cmp::Reverse(it.len()));
    }
}

/// A text without any secret that this process knows.
pub fn masked(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut text = Cow::Borrowed(text);
    for secret in known.iter() {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), MASK));
        }
    }
    text
}

/// An error without any secret that this process knows.
pub fn masked_error(error: &Error) -> Error {
    Error {
        message: masked(&error.message).into_owned(),
        remedy: masked(&error.remedy).into_owned(),
        details: error.details.iter().map(|it| masked(it).into_owned()).collect(),
        ..error.clone()
    }
}

/// A password, token or key. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        remember(&text);
        Self(text)
    }
    /// The text itself. Every call is a place to look at twice: it belongs neither in arguments nor in logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(«redacted»)");
    }

    #[test]
    fn what_is_known_is_taken_out_of_every_text_also_as_it_stands_in_an_address() {
        let kept = Secret::new("pa/ss:w%rd");
        let said = masked("as pa/ss:w%rd, in postgres://shop:pa%2Fss%3Aw%25rd@localhost/shop");
        assert_eq!(said, "as «redacted», in postgres://shop:«redacted»@localhost/shop");
        drop(kept);
        let error = Error::failed("a_class", "It said pa/ss:w%rd.").remedy("Not pa/ss:w%rd.").detail("pa/ss:w%rd!");
        let error = masked_error(&error);
        assert!(![error.message, error.remedy, error.details.join("")].join("").contains("w%rd"));
        assert_eq!(masked("nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn what_is_too_short_to_be_told_from_a_word_is_left() {
        drop(Secret::new("abc"));
        assert_eq!(masked("abcdef"), "abcdef");
    }
}
