//! What went by, in figures: rows, values a column, sums of whole numbers, and a hash of every value. Two lists of rows
//! with the same figures are the same, whatever form they were written in.

use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::stores::tables::{Column, Holds};

/// Figures of rows that go by.
#[derive(Debug)]
pub(super) struct Content {
    hash: Sha256,
    /// What is hashed next: many small pieces one by one take longer than all of them at once.
    pending: Vec<u8>,
    figures: Figures,
}

/// So many bytes are hashed at once, about.
const AT_ONCE: usize = 1 << 14;

/// Them at the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) rows: u64,
    pub(super) filled: Vec<u64>,
    /// `None` for columns of other things, and where a number could not be read.
    pub(super) sums: Vec<Option<i128>>,
    pub(super) sha256: String,
}

impl Content {
    pub(super) fn new(columns: &[Column]) -> Self {
        let sums = columns.iter().map(|it| (it.holds == Holds::Integer).then_some(0)).collect();
        let figures = Figures { rows: 0, filled: vec![0; columns.len()], sums, sha256: String::new() };
        Self { hash: Sha256::new(), pending: Vec::with_capacity(AT_ONCE * 2), figures }
    }

    pub(super) fn rows(&self) -> u64 {
        self.figures.rows
    }

    pub(super) fn take<'v>(&mut self, row: impl Iterator<Item = Option<&'v [u8]>>) {
        self.figures.rows += 1;
        for (at, value) in row.enumerate() {
            let Some(value) = value else {
                self.pending.push(0);
                continue;
            };
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
        if self.pending.len() >= AT_ONCE {
            self.hash.update(&self.pending);
            self.pending.clear();
        }
    }

    pub(super) fn finish(mut self) -> Figures {
        self.hash.update(&self.pending);
        self.figures.sha256 = hex(&self.hash.finalize());
        self.figures
    }
}

/// A whole number; nearly all are short, and those are read several times as quickly.
fn whole(value: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse::<i64>().map(i128::from).or_else(|_| text.parse()).ok()
}
