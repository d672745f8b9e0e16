//! SQL text, statement by statement, as `pg_dump` writes it: what is in it, and what of it is let through.
//!
//! Nothing of it is believed. What reaches beyond the one database, or speaks to `psql` instead of the server, is
//! refused; what only an administrator could do and the data does not need (owners, rights, extensions) is left out and told.
//! That this reading and the server's are the same is not relied on: what comes through runs with the rights of a role
//! that has none beyond its scratch database, through a `psql` that was told to take no commands.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};

use crate::error::{Error, Result};
use crate::stores::Counts;

use super::words::{Rule, rule};

/// The longest statement, in bytes. Rows of a `COPY` are no part of it.
const LONGEST: u64 = 64 << 20;
/// How much is handed on at a time.
const PIECE: usize = 64 << 10;

/// What was read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Rows by table, of what `COPY` brings.
    pub(super) copied: Counts,
    /// Statements by table, of what `INSERT` brings.
    pub(super) inserted: Counts,
    /// Tables that are made.
    pub(super) tables: BTreeSet<String>,
    /// Extensions that are asked for, and the schema that they are asked into.
    pub(super) extensions: BTreeMap<String, Option<String>>,
    /// What was left out, and how often.
    pub(super) left_out: BTreeMap<&'static str, u64>,
    /// The version of the server that it came from, in its own words.
    pub(super) server_version: Option<String>,
    /// The version of the program that wrote it, in its own words.
    pub(super) tool_version: Option<String>,
    /// It says that `pg_dump` wrote it.
    pub(super) is_of_pg_dump: bool,
    /// It says where it ends.
    pub(super) is_whole: bool,
    /// The schema of names that have none.
    pub(super) usual_schema: Option<String>,
    /// Something was made already.
    pub(super) has_begun: bool,
    /// It is written in LATIN1, as old databases are.
    pub(super) is_latin: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Statements,
    Rows(String),
    Ended,
}

/// Reads as what is let through. What made it stop is in [`Sifted::refused`].
pub(super) struct Sifted<R> {
    from: R,
    /// What was learned.
    pub(super) tally: Tally,
    /// Why it stopped, where it did.
    pub(super) refused: Option<Error>,
    mode: Mode,
    line: Vec<u8>,
    at: usize,
    /// What of the current line of rows was seen, as far as it takes to know the last one.
    head: Vec<u8>,
    out: Vec<u8>,
    given: usize,
}

impl<R: BufRead> Sifted<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            tally: Tally::default(),
            refused: None,
            mode: Mode::Statements,
            line: Vec::new(),
            at: 0,
            head: Vec::new(),
            out: Vec::new(),
            given: 0,
        }
    }

    /// The same with these bytes before everything else.
    pub(super) fn after(mut self, first: &str) -> Self {
        self.out.extend_from_slice(first.as_bytes());
        self
    }

    /// Reads to the end, for what can be learned.
    pub(super) fn through(mut self) -> Result<Tally> {
        let read = io::copy(&mut self, &mut io::sink());
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        read.map_err(|cause| truncated().because(&cause))?;
        Ok(self.tally)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.given = 0;
        let filled = match self.mode.clone() {
            Mode::Ended => Ok(()),
            Mode::Rows(table) => self.rows(&table)?,
            Mode::Statements => self.statement()?,
        };
        filled.map_err(|refused| {
            let cause = io::Error::other(refused.message.clone());
            self.refused = Some(refused);
            self.out.clear();
            self.mode = Mode::Ended;
            cause
        })
    }

    /// Some rows of a `COPY`, which end with a line of their own.
    fn rows(&mut self, table: &str) -> io::Result<Result<()>> {
        while self.out.len() < PIECE {
            let there = self.from.fill_buf()?;
            if there.is_empty() {
                return Ok(Err(truncated()));
            }
            let end = there.iter().position(|it| *it == b'\n').map_or(there.len(), |it| it + 1);
            let piece = &there[..end];
            let room = 4_usize.saturating_sub(self.head.len());
            self.head.extend_from_slice(&piece[..piece.len().min(room)]);
            let is_line = piece.last() == Some(&b'\n');
            self.out.extend_from_slice(piece);
            self.from.consume(end);
            if !is_line {
                continue;
            }
            let head = std::mem::take(&mut self.head);
            if head == b"\\.\n" || head == b"\\.\r\n" {
                self.mode = Mode::Statements;
                return Ok(Ok(()));
            }
            *self.tally.copied.entry(table.to_owned()).or_default() += 1;
        }
        Ok(Ok(()))
    }

    /// The next statement that is let through, or nothing at the end.
    fn statement(&mut self) -> io::Result<Result<()>> {
        let mut text = Vec::new();
        let mut lexer = Lexer::default();
        loop {
            if self.at == self.line.len() && !self.next_line()? {
                self.mode = Mode::Ended;
                if lexer.is_open() {
                    return Ok(Err(truncated()));
                }
                return Ok(self.judge(text, lexer.values));
            }
            if lexer.is_between() && self.at == 0 {
                if let Err(refused) = self.remark() {
                    return Ok(Err(refused));
                }
                if self.line.starts_with(b"\\restrict ") || self.line.starts_with(b"\\unrestrict ") {
                    // How newer versions of pg_dump keep psql from taking commands, which is done here in any case.
                    self.at = self.line.len();
                    continue;
                }
            }
            let rest = &self.line[self.at..];
            let (taken, end) = lexer.take(rest);
            text.extend_from_slice(&rest[..taken]);
            self.at += taken;
            if text.len() as u64 > LONGEST || self.line.len() as u64 > LONGEST {
                return Ok(Err(refused(
                    "sql_too_long",
                    "A statement of the file is longer than any that pg_dump writes.",
                )));
            }
            match end {
                End::More => {}
                End::Backslash => {
                    return Ok(Err(refused(
                        "sql_commands_for_psql",
                        "The file holds commands for the program psql, which could run other programs.",
                    )
                    .detail(String::from_utf8_lossy(&self.line).trim().to_owned())));
                }
                End::Statement => return Ok(self.judge(text, lexer.values)),
            }
        }
    }

    fn next_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.at = 0;
        // One byte more than the longest, so that it is seen to be too long.
        (&mut self.from).take(LONGEST + 1).read_until(b'\n', &mut self.line)?;
        Ok(!self.line.is_empty())
    }

    /// What a program wrote about the file between the statements.
    fn remark(&mut self) -> Result<()> {
        let Some(remark) = self.line.strip_prefix(b"-- ") else { return Ok(()) };
        let remark = String::from_utf8_lossy(&remark[..remark.len().min(200)]);
        let remark = remark.trim();
        let tally = &mut self.tally;
        if remark == "PostgreSQL database dump" {
            tally.is_of_pg_dump = true;
        } else if remark == "PostgreSQL database dump complete" {
            tally.is_whole = true;
        } else if remark == "PostgreSQL database cluster dump" {
            return Err(refused("dump_of_a_cluster", "The file holds all databases of a server, not one of them.")
                .remedy("Dump the one database of the application: `pg_dump -Fc`."));
        } else if let Some(version) = remark.strip_prefix("Dumped from database version ") {
            tally.server_version.get_or_insert_with(|| version.to_owned());
        } else if let Some(version) = remark.strip_prefix("Dumped by pg_dump version ") {
            tally.tool_version.get_or_insert_with(|| version.to_owned());
        }
        Ok(())
    }

    fn judge(&mut self, text: Vec<u8>, values: Option<u64>) -> Result<()> {
        match rule(&text, values, &mut self.tally) {
            Rule::Nothing => {}
            Rule::LeaveOut(what) => *self.tally.left_out.entry(what).or_default() += 1,
            Rule::Refuse(error) => return Err(error.detail(shortened(&text))),
            Rule::Keep => self.hand_on(&text),
            Rule::Rows(table) => {
                self.hand_on(&text);
                let rest = std::mem::take(&mut self.line);
                let rest = &rest[self.at.min(rest.len())..];
                if !rest.iter().all(u8::is_ascii_whitespace) {
                    return Err(refused("sql_unclear", "The file brings rows in a way that pg_dump never writes."));
                }
                self.at = 0;
                self.tally.copied.entry(table.clone()).or_default();
                self.mode = Mode::Rows(table);
            }
        }
        Ok(())
    }

    fn hand_on(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.out.push(b'\n');
    }
}

impl<R: BufRead> Read for Sifted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            if self.mode == Mode::Ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let given = into.len().min(self.out.len() - self.given);
        into[..given].copy_from_slice(&self.out[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}

fn shortened(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(400)]);
    text.lines().filter(|it| !it.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// A refusal of a file, with the remedy that nearly all have.
pub(super) fn refused(class: &'static str, message: &str) -> Error {
    Error::refused(class, message).remedy(
        "Nothing was touched. Ask whoever made the file for a dump of this one database in pg_dump’s own format: \
         `pg_dump -Fc`.",
    )
}

fn truncated() -> Error {
    refused("file_truncated", "The file ends in the middle: a part of it is missing.")
}

/// What ended a run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    More,
    Statement,
    Backslash,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum In {
    #[default]
    Nothing,
    Comment(u32),
    Text {
        escapes: bool,
    },
    Name,
    Dollars(Vec<u8>),
}

/// Where a reader of SQL stands. Fed with whole lines: no sign that it looks for goes over the end of one.
#[derive(Debug, Default)]
struct Lexer {
    inside: In,
    parens: u32,
    /// Words of the statement that matter for bodies without quotes: `BEGIN ATOMIC … END`.
    words: Vec<Vec<u8>>,
    begins: u32,
    /// How many rows an `INSERT` brings, where it says `VALUES`.
    values: Option<u64>,
}

impl Lexer {
    /// Something was opened that has to be closed.
    fn is_open(&self) -> bool {
        self.inside != In::Nothing || self.parens > 0
    }

    fn is_between(&self) -> bool {
        !self.is_open() && self.words.is_empty()
    }

    /// Reads on, at most to the end of a statement; how far it came.
    fn take(&mut self, line: &[u8]) -> (usize, End) {
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            at += match &mut self.inside {
                In::Comment(depth) => {
                    if rest.starts_with(b"*/") {
                        *depth -= 1;
                        if *depth == 0 {
                            self.inside = In::Nothing;
                        }
                        2
                    } else if rest.starts_with(b"/*") {
                        *depth += 1;
                        2
                    } else {
                        1
                    }
                }
                In::Text { escapes } => match rest[0] {
                    b'\\' if *escapes && rest.len() > 1 => 2,
                    b'\'' if rest.get(1) == Some(&b'\'') => 2,
                    b'\'' => {
                        self.inside = In::Nothing;
                        1
                    }
                    _ => 1,
                },
                In::Name => {
                    if rest[0] == b'"' {
                        self.inside = In::Nothing;
                    }
                    1
                }
                In::Dollars(tag) => {
                    if rest.starts_with(tag) {
                        let length = tag.len();
                        self.inside = In::Nothing;
                        length
                    } else {
                        rest[1..].iter().position(|it| *it == b'$').map_or(rest.len(), |it| it + 1)
                    }
                }
                In::Nothing => {
                    let before = at.checked_sub(1).map(|it| line[it]);
                    match self.open(rest, before) {
                        (taken, End::More) => taken,
                        (taken, end) => return (at + taken, end),
                    }
                }
            };
        }
        (at, End::More)
    }

    /// One step outside of everything.
    fn open(&mut self, rest: &[u8], before: Option<u8>) -> (usize, End) {
        let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_' || it == b'$' || it >= 0x80;
        match rest[0] {
            b'-' if rest.starts_with(b"--") => return (rest.len(), End::More),
            b'/' if rest.starts_with(b"/*") => {
                self.inside = In::Comment(1);
                return (2, End::More);
            }
            b'\'' => self.inside = In::Text { escapes: false },
            b'"' => self.inside = In::Name,
            b'(' => self.parens += 1,
            b')' => {
                self.parens = self.parens.saturating_sub(1);
                if let Some(rows) = self.values.as_mut().filter(|_| self.parens == 0) {
                    *rows += 1;
                }
            }
            b';' if self.parens == 0 && self.begins == 0 => return (1, End::Statement),
            b'\\' => return (0, End::Backslash),
            b'$' if !before.is_some_and(is_word) => {
                let tag = rest[1..].iter().position(|it| !(is_word(*it) && *it != b'$'));
                if let Some(end) = tag.filter(|it| rest[it + 1] == b'$' && !rest[1].is_ascii_digit()) {
                    self.inside = In::Dollars(rest[..end + 2].to_vec());
                    return (end + 2, End::More);
                }
            }
            b'e' | b'E' if rest.get(1) == Some(&b'\'') && !before.is_some_and(is_word) => {
                self.inside = In::Text { escapes: true };
                return (2, End::More);
            }
            first if is_word(first) => {
                let length = rest.iter().position(|it| !is_word(*it)).unwrap_or(rest.len());
                self.word(&rest[..length]);
                return (length, End::More);
            }
            _ => {}
        }
        (1, End::More)
    }

    /// The same rule by which psql tells where a function without quotes ends.
    fn word(&mut self, word: &[u8]) {
        if self.words.len() < 4 {
            self.words.push(word.to_ascii_lowercase());
        }
        let is = |at: usize, wanted: &[u8]| self.words.get(at).is_some_and(|it| it == wanted);
        if self.parens == 0 && is(0, b"insert") && word.eq_ignore_ascii_case(b"values") {
            self.values = Some(0);
        }
        let routine = |at| is(at, b"function") || is(at, b"procedure");
        if !(is(0, b"create") && (routine(1) || (is(1, b"or") && is(2, b"replace") && routine(3)))) || self.parens > 0 {
            return;
        }
        if word.eq_ignore_ascii_case(b"begin") || (self.begins > 0 && word.eq_ignore_ascii_case(b"case")) {
            self.begins += 1;
        } else if word.eq_ignore_ascii_case(b"end") {
            self.begins = self.begins.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
