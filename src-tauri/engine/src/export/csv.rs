//! CSV as spreadsheets open it right: a byte order mark, quotes where needed, lines ended by CR and LF.
//!
//! How a value stands there is written in `liftlock_rows::csv`; read back, every text is as it was.

use std::io::{self, BufRead, Write};
use std::path::Path;

use liftlock_rows::csv::put_value;
pub use liftlock_rows::csv::restored;

use crate::error::{Error, Result};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// How far into a file a reader is, counted from 1 as people and editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The line that the row begins on.
    pub line: u64,
}

/// A field as it stands in a file: the outer text is `None` where there is nothing at all.
pub type Fields = Vec<Option<Vec<u8>>>;

/// Writes the mark and the headings.
///
/// # Errors
/// What the disk answered.
pub fn write_head(to: &mut (impl Write + ?Sized), headings: &[&str], separator: u8) -> io::Result<()> {
    to.write_all(MARK)?;
    write_row(to, headings.iter().map(|it| Some((it.as_bytes(), false))), separator)
}

/// Writes a row: each value with whether it is a number, which is never taken for a formula.
///
/// # Errors
/// What the disk answered.
pub fn write_row<'v>(
    to: &mut (impl Write + ?Sized),
    values: impl Iterator<Item = Option<(&'v [u8], bool)>>,
    separator: u8,
) -> io::Result<()> {
    let mut row = Vec::new();
    for (at, value) in values.enumerate() {
        if at > 0 {
            row.push(separator);
        }
        if let Some((value, is_number)) = value {
            put_value(&mut row, value, is_number, separator);
        }
    }
    row.extend_from_slice(b"\r\n");
    to.write_all(&row)
}

/// Reads rows one by one and says where one cannot be read.
#[derive(Debug)]
pub struct Reader<'p, R> {
    from: R,
    path: &'p Path,
    separator: u8,
    line: u64,
    begun: bool,
}

impl<'p, R: BufRead> Reader<'p, R> {
    /// Reads `from`, which is called `path` in messages.
    pub fn new(from: R, path: &'p Path, separator: u8) -> Self {
        Self { from, path, separator, line: 1, begun: false }
    }

    /// The next row and where it begins; `None` at the end.
    ///
    /// # Errors
    /// `broken_quotes` with line and column; `not_utf8`; what the disk answered.
    pub fn row(&mut self) -> Result<Option<(At, Fields)>> {
        let at = At { line: self.line };
        let (mut fields, mut field) = (Vec::new(), Vec::new());
        let mut state = State::Begin;
        loop {
            self.run_of(state, &mut field)?;
            let Some(byte) = self.byte()? else {
                if state == State::Quoted {
                    return Err(self.broken(at, fields.len(), "A quote is opened and never closed."));
                }
                if fields.is_empty() && state == State::Begin {
                    return Ok(None);
                }
                fields.push(self.ended(state, field, at, fields.len())?);
                return Ok(Some((at, fields)));
            };
            match (state, byte) {
                (State::Quoted, b'"') => state = State::QuoteSeen,
                (State::Quoted, byte) => field.push(byte),
                (State::QuoteSeen, b'"') => {
                    field.push(b'"');
                    state = State::Quoted;
                }
                (State::Begin, b'"') => state = State::Quoted,
                (_, byte) if byte == self.separator => {
                    let whole = self.ended(state, std::mem::take(&mut field), at, fields.len())?;
                    fields.push(whole);
                    state = State::Begin;
                }
                (_, b'\n') => {
                    fields.push(self.ended(state, field, at, fields.len())?);
                    return Ok(Some((at, fields)));
                }
                (_, b'\r') if self.peek()?.is_none_or(|next| next == b'\n') => {}
                (State::QuoteSeen, _) => {
                    return Err(self.broken(at, fields.len(), "Something follows a closing quote."));
                }
                (State::Begin | State::Bare, byte) => {
                    field.push(byte);
                    state = State::Bare;
                }
            }
        }
    }

    fn ended(&self, state: State, field: Vec<u8>, at: At, column: usize) -> Result<Option<Vec<u8>>> {
        if state == State::Begin {
            return Ok(None);
        }
        if std::str::from_utf8(&field).is_err() {
            return Err(Error::failed("not_utf8", format!("{} is not UTF-8 text.", self.place(at, column)))
                .remedy("Save the file again as “CSV UTF-8”, then try again."));
        }
        Ok(Some(field))
    }

    fn broken(&self, at: At, column: usize, what: &str) -> Error {
        Error::failed("broken_quotes", format!("{}: {what}", self.place(at, column))).remedy(
            "Open the file in a text editor and correct the quotes there; a quote inside a text is written twice.",
        )
    }

    /// `orders.csv, line 12, column 3`.
    pub fn place(&self, at: At, column: usize) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        format!("{name}, line {}, column {}", at.line, column + 1)
    }

    /// Takes what means nothing but itself, all at once.
    fn run_of(&mut self, state: State, field: &mut Vec<u8>) -> Result<()> {
        let separator = self.separator;
        loop {
            let buffer = self.from.fill_buf().map_err(|cause| Error::io("read", self.path, &cause))?;
            let end = match state {
                State::Begin | State::QuoteSeen => return Ok(()),
                State::Quoted => buffer.iter().position(|it| *it == b'"'),
                State::Bare => buffer.iter().position(|it| *it == separator || matches!(it, b'\n' | b'\r')),
            };
            let run = &buffer[..end.unwrap_or(buffer.len())];
            field.extend_from_slice(run);
            self.line += run.iter().filter(|it| **it == b'\n').count() as u64;
            let length = run.len();
            self.from.consume(length);
            if end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        let buffer = self.from.fill_buf().map_err(|cause| Error::io("read", self.path, &cause))?;
        Ok(buffer.first().copied())
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if !self.begun {
            self.begun = true;
            let buffer = self.from.fill_buf().map_err(|cause| Error::io("read", self.path, &cause))?;
            if buffer.starts_with(MARK) {
                self.from.consume(MARK.len());
            }
        }
        let next = self.peek()?;
        if let Some(byte) = next {
            self.from.consume(1);
            self.line += u64::from(byte == b'\n');
        }
        Ok(next)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Bare,
    Quoted,
    QuoteSeen,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(rows: &[Vec<Option<String>>], separator: u8) -> Vec<u8> {
        let mut out = MARK.to_vec();
        for row in rows {
            write_row(&mut out, row.iter().map(|it| it.as_ref().map(|it| (it.as_bytes(), false))), separator).unwrap();
        }
        out
    }

    fn read(bytes: &[u8], separator: u8) -> Result<Vec<Fields>> {
        let mut reader = Reader::new(bytes, Path::new("orders.csv"), separator);
        let mut rows = Vec::new();
        while let Some((_, row)) = reader.row()? {
            rows.push(row.into_iter().map(|it| it.map(restored)).collect());
        }
        Ok(rows)
    }

    fn nasty() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                Just("\""),
                Just("'"),
                Just("="),
                Just("+"),
                Just("-"),
                Just("@"),
                Just("\r"),
                Just("\n"),
                Just("\r\n"),
                Just("\t"),
                Just(","),
                Just(";"),
                Just(" "),
                Just("NULL"),
                Just("\\N"),
                Just("5"),
                Just("ä"),
                Just("🚀"),
                Just("\u{feff}"),
            ],
            0..6,
        )
        .prop_map(|it| it.concat())
    }

    proptest! {
        #[test]
        fn every_text_comes_back(
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of(nasty()), 3), 0..6),
            separator in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
        ) {
            let expected: Vec<Fields> =
                rows.iter().map(|row| row.iter().map(|it| it.clone().map(String::into_bytes)).collect()).collect();
            prop_assert_eq!(read(&written(&rows, separator), separator).unwrap(), expected);
        }

        #[test]
        fn no_cell_begins_as_a_formula(text in nasty()) {
            let bytes = written(&[vec![Some(text)]], b',');
            let (_, cells) = Reader::new(&bytes[..], Path::new("a.csv"), b',').row().unwrap().unwrap();
            let begin = cells[0].as_ref().and_then(|it| it.first());
            prop_assert!(!matches!(begin, Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n')));
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes, b',');
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let error = read(b"a,b\r\n1,\"two\r\n3,4\r\n", b',').unwrap_err();
        assert_eq!(
            (error.class.as_ref(), error.message.as_str()),
            ("broken_quotes", "orders.csv, line 2, column 2: A quote is opened and never closed.")
        );
        assert_eq!(read(b"\"a\"b\r\n", b',').unwrap_err().class, "broken_quotes");
        assert_eq!(read(b"a,\xe4\r\n", b',').unwrap_err().message, "orders.csv, line 1, column 2 is not UTF-8 text.");
    }

    #[test]
    fn a_file_from_another_program_is_read_too() {
        // No mark, line feeds alone, no end of the last line.
        assert_eq!(
            read(b"a,b\n'tis,", b',').unwrap(),
            [vec![Some(b"a".to_vec()), Some(b"b".to_vec())], vec![Some(b"'tis".to_vec()), None]]
        );
    }
}
