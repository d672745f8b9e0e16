//! What children print, made fit to keep and to show.

use std::fmt::Write;

/// The longest line that is told in one piece, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// The same text without anything that could steer a terminal or reorder what is read: control characters
/// and bidirectional overrides appear as escapes, tabs as spaces.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "{}", c.escape_unicode());
            }
            c if c.is_control() => {
                let _ = write!(out, "{}", c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

/// Cuts a stream of bytes into printable lines, at line feeds and carriage returns.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and tells each line that they complete; empty ones are left out.
    pub(super) fn push(&mut self, bytes: &[u8], mut tell: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                self.flush(&mut tell);
            } else {
                self.begun.push(byte);
                if self.begun.len() >= LONGEST_LINE {
                    self.flush(&mut tell);
                }
            }
        }
    }

    /// Tells the last line where it had no end.
    pub(super) fn flush(&mut self, mut tell: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            tell(printable(&String::from_utf8_lossy(&self.begun)).trim_end());
            self.begun.clear();
        }
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
pub(super) struct Tail {
    kept: Vec<u8>,
    most: usize,
}

impl Tail {
    pub(super) fn of(most: usize) -> Self {
        Self { kept: Vec::new(), most }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Cutting only when twice as much is there keeps the cost of moving bytes constant for each byte.
        if self.kept.len() > 2 * self.most {
            self.cut();
        }
    }

    pub(super) fn into_text(mut self) -> String {
        self.cut();
        match String::from_utf8(self.kept) {
            Ok(text) => text,
            Err(not_utf8) => String::from_utf8_lossy(not_utf8.as_bytes()).into_owned(),
        }
    }

    fn cut(&mut self) {
        let surplus = self.kept.len().saturating_sub(self.most);
        self.kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_printed() {
        assert_eq!(printable("a\u{1b}[31mred\u{7}\tb"), r"a\u{1b}[31mred\u{7} b");
        assert_eq!(printable("pay \u{202e}evil"), r"pay \u{202e}evil");
        assert_eq!(printable("Zürich 100 % ✓"), "Zürich 100 % ✓");
    }

    #[test]
    fn a_line_is_told_once_it_ends_and_a_progress_bar_is_many_lines() {
        let mut told = Vec::new();
        let mut lines = Lines::default();
        lines.push(b"one\r\ntw", |line| told.push(line.to_owned()));
        lines.push(b"o\r50 %\rlast", |line| told.push(line.to_owned()));
        lines.flush(|line| told.push(line.to_owned()));
        assert_eq!(told, ["one", "two", "50 %", "last"]);
    }

    #[test]
    fn a_line_without_end_is_told_in_pieces_and_not_kept_for_ever() {
        let mut told = 0;
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 3 * LONGEST_LINE], |line| told += line.len());
        assert_eq!(told, 3 * LONGEST_LINE);
    }

    #[test]
    fn only_the_end_of_much_output_is_kept() {
        let mut tail = Tail::of(4);
        for chunk in [&b"abc"[..], b"defghij", b"kl"] {
            tail.push(chunk);
        }
        assert_eq!(tail.into_text(), "ijkl");
    }
}
