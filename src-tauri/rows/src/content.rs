//! What went by, in figures: rows, values a column, sums of whole numbers, and a hash of every value. Two lists of rows
//! with the same figures are the same, whatever form they were written in.

use sha2::{Digest, Sha256};

use crate::{Column, Holds, Row};

/// Figures of rows that go by.
#[derive(Debug)]
pub struct Content {
    hash: Sha256,
    /// What is hashed next: many small pieces one by one take longer than all of them at once.
    pending: Vec<u8>,
    figures: Figures,
}

/// So many bytes are hashed at once, about.
const AT_ONCE: usize = 1 << 14;

/// Them at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    /// Rows.
    pub rows: u64,
    /// For each column how many rows have a value.
    pub filled: Vec<u64>,
    /// For each column of whole numbers their sum; `None` for others, and where a number could not be read.
    pub sums: Vec<Option<i128>>,
    /// The hash of every value, in their order.
    pub sha256: [u8; 32],
}

impl Content {
    /// Of no rows yet.
    pub fn new(columns: &[Column]) -> Self {
        let sums = columns.iter().map(|it| (it.holds == Holds::Integer).then_some(0)).collect();
        let figures = Figures { rows: 0, filled: vec![0; columns.len()], sums, sha256: [0; 32] };
        Self { hash: Sha256::new(), pending: Vec::with_capacity(AT_ONCE * 2), figures }
    }

    /// How many rows were taken.
    pub fn rows(&self) -> u64 {
        self.figures.rows
    }

    /// Takes a row.
    pub fn take(&mut self, row: &Row<'_>) {
        self.begin();
        for (at, value) in row.iter().enumerate() {
            self.value(at, value.as_deref());
        }
    }

    /// Takes a row that was read back.
    pub fn take_read(&mut self, row: &[Option<Vec<u8>>]) {
        self.begin();
        for (at, value) in row.iter().enumerate() {
            self.value(at, value.as_deref());
        }
    }

    fn begin(&mut self) {
        if self.pending.len() >= AT_ONCE {
            self.hash.update(&self.pending);
            self.pending.clear();
        }
        self.figures.rows += 1;
    }

    fn value(&mut self, at: usize, value: Option<&[u8]>) {
        let Some(value) = value else { return self.pending.push(0) };
        // The length keeps two values apart that make the same text together.
        self.pending.push(1);
        self.pending.extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(value);
        if let Some(filled) = self.figures.filled.get_mut(at) {
            *filled += 1;
        }
        if let Some(sum) = self.figures.sums.get_mut(at) {
            *sum = sum.and_then(|sum| sum.checked_add(whole(value)?));
        }
    }

    /// The figures of all that was taken.
    pub fn finish(mut self) -> Figures {
        self.hash.update(&self.pending);
        self.figures.sha256 = self.hash.finalize().into();
        self.figures
    }
}

/// A whole number; nearly all are short, and those are read several times as quickly.
fn whole(value: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse::<i64>().map(i128::from).or_else(|_| text.parse()).ok()
}
