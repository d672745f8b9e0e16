//! Cutting the text format of PostgreSQL's `COPY` into rows. A line break inside a value comes escaped, so each line is a row.

use std::borrow::Cow;
use std::ops::ControlFlow;

use memchr::{memchr, memchr_iter};

use crate::Row;

/// Who takes the rows; `None` is a line that is no row of so many values.
pub type Take<'t> = dyn FnMut(Option<&Row<'_>>) -> ControlFlow<()> + 't;

/// Cuts what comes, however it comes, into rows of so many values.
#[derive(Debug)]
pub struct Cutter {
    rest: Vec<u8>,
    width: usize,
}

impl Cutter {
    /// Rows of `width` values are expected.
    pub fn new(width: usize) -> Self {
        Self { rest: Vec::new(), width }
    }

    /// Whether every line that began has ended.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next bytes, and tells the rows that end in them to `take` until it breaks.
    pub fn push(&mut self, bytes: &[u8], take: &mut Take<'_>) -> ControlFlow<()> {
        let mut left = bytes;
        while let Some(end) = memchr(b'\n', left) {
            let (line, after) = (&left[..end], &left[end + 1..]);
            if self.rest.is_empty() {
                self.row(line, take)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.row(&whole, take)?;
                whole.clear();
                self.rest = whole;
            }
            left = after;
        }
        self.rest.extend_from_slice(left);
        ControlFlow::Continue(())
    }

    fn row(&self, line: &[u8], take: &mut Take<'_>) -> ControlFlow<()> {
        let mut row = Vec::with_capacity(self.width);
        let is_escaped = memchr(b'\\', line).is_some();
        let mut begun = 0;
        let ends = memchr_iter(b'\t', line).chain([line.len()]);
        let is_whole = ends.map(|end| &line[std::mem::replace(&mut begun, end + 1)..end]).all(|field| {
            let value = if is_escaped { value(field) } else { Some(Some(Cow::Borrowed(field))) };
            value.map(|it| row.push(it)).is_some()
        });
        take((is_whole && row.len() == self.width).then_some(&row))
    }
}

/// A value of the text format: the outer `None` where it is none, the inner one for NULL.
#[allow(clippy::option_option, reason = "two different absences")]
pub fn value(field: &[u8]) -> Option<Option<Cow<'_, [u8]>>> {
    if field == b"\\N" {
        return Some(None);
    }
    if !field.contains(&b'\\') {
        return Some(Some(Cow::Borrowed(field)));
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                b'\\' => b'\\',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(Some(Cow::Owned(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped_and_null_is_apart() {
        let read = |field: &[u8]| value(field).map(|it| it.map(Cow::into_owned));
        assert_eq!(read(b"\\N"), Some(None));
        assert_eq!(read(b""), Some(Some(Vec::new())));
        assert_eq!(read(b"\\\\N"), Some(Some(b"\\N".to_vec())), "the text \\N");
        assert_eq!(read(b"a\\tb\\r\\nc\\b\\f\\v"), Some(Some(b"a\tb\r\nc\x08\x0c\x0b".to_vec())));
        assert_eq!(read(b"cut\\"), None);
        assert_eq!(read(b"\\q"), None);
    }

    #[test]
    fn rows_are_cut_right_wherever_the_bytes_are() {
        let text = b"1\t\\N\n2\ta\\nb\n";
        for cut in 0..text.len() {
            let mut seen = Vec::new();
            let mut take = |row: Option<&Row<'_>>| {
                seen.push(row.map(|row| row.iter().map(|it| it.as_deref().map(<[u8]>::to_vec)).collect::<Vec<_>>()));
                ControlFlow::Continue(())
            };
            let mut cutter = Cutter::new(2);
            assert!(cutter.push(&text[..cut], &mut take).is_continue());
            assert!(cutter.push(&text[cut..], &mut take).is_continue());
            assert!(cutter.is_at_end());
            let expected = [vec![Some(b"1".to_vec()), None], vec![Some(b"2".to_vec()), Some(b"a\nb".to_vec())]];
            assert_eq!(seen, expected.map(Some), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_of_another_width_is_told_and_ends_it() {
        let mut told = 0;
        let mut take = |row: Option<&Row<'_>>| {
            told += 1;
            if row.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        assert!(Cutter::new(2).push(b"1\t2\n3\n4\t5\n", &mut take).is_break());
        assert_eq!(told, 2);
    }
}
