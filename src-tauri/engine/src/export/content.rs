//! What went by, in figures: rows, values a column, sums of whole numbers, and a hash of every value. Two lists of rows
//! with the same figures are the same, whatever form they were written in.

use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::stores::tables::{Column, Holds};

/// Figures of rows that go by.
#[derive(Debug)]
pub(super) struct Content {
    hash: Sha256,
    figures: Figures,
}

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
        Self { hash: Sha256::new(), figures }
    }

    pub(super) fn rows(&self) -> u64 {
        self.figures.rows
    }

    pub(super) fn take<'v>(&mut self, row: impl Iterator<Item = Option<&'v [u8]>>) {
        self.figures.rows += 1;
        for (at, value) in row.enumerate() {
            let Some(value) = value else {
                self.hash.update([0]);
                continue;
            };
            // The length keeps two values apart that make the same text together.
            self.hash.update([1]);
            self.hash.update((value.len() as u64).to_le_bytes());
            self.hash.update(value);
            if let Some(filled) = self.figures.filled.get_mut(at) {
                *filled += 1;
            }
            if let Some(sum) = self.figures.sums.get_mut(at) {
                let number = || std::str::from_utf8(value).ok()?.parse::<i128>().ok();
                *sum = sum.and_then(|sum| sum.checked_add(number()?));
            }
        }
    }

    pub(super) fn finish(mut self) -> Figures {
        self.figures.sha256 = hex(&self.hash.finalize());
        self.figures
    }
}
