//! What differs between two inventories. Nothing here asks a server.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inventory::{Inventory, Position, Positions};
use crate::stores::Counts;

/// One difference in what is there, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Change {
    /// A table is gone with all its rows.
    TableLost {
        /// Which.
        table: String,
        /// How many rows it had.
        before: u64,
    },
    /// A table has fewer rows.
    RowsLost {
        /// Which.
        table: String,
        /// How many it had.
        before: u64,
        /// How many it has.
        after: u64,
    },
    /// A table has more rows.
    RowsGained {
        /// Which.
        table: String,
        /// How many it had.
        before: u64,
        /// How many it has.
        after: u64,
    },
    /// There is a new table.
    TableGained {
        /// Which.
        table: String,
        /// How many rows it has.
        after: u64,
    },
}

impl Change {
    /// Whether something that was there is there no more. A table that was empty loses nothing by going.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::TableLost { before, .. } => *before > 0,
            Self::RowsLost { .. } => true,
            Self::RowsGained { .. } | Self::TableGained { .. } => false,
        }
    }
    /// The table it is about.
    pub fn table(&self) -> &str {
        match self {
            Self::TableLost { table, .. }
            | Self::RowsLost { table, .. }
            | Self::RowsGained { table, .. }
            | Self::TableGained { table, .. } => table,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableLost { table, before } => write!(f, "the table {table} with {before} rows is gone"),
            Self::RowsLost { table, before, after } => write!(f, "{table} has {after} rows instead of {before}"),
            Self::RowsGained { table, before, after } => write!(f, "{table} has {after} rows, {} more", after - before),
            Self::TableGained { table, after } => write!(f, "the table {table} is new, with {after} rows"),
        }
    }
}

/// What has changed between two counts, losses first.
pub fn compare_counts(before: &Counts, after: &Counts) -> Vec<Change> {
    let mut changes: Vec<Change> = before
        .iter()
        .filter_map(|(table, before)| {
            let (table, before) = (table.clone(), *before);
            match after.get(&table).copied() {
                None => Some(Change::TableLost { table, before }),
                Some(after) if after < before => Some(Change::RowsLost { table, before, after }),
                Some(after) if after > before => Some(Change::RowsGained { table, before, after }),
                Some(_) => None,
            }
        })
        .collect();
    let is_new = |table: &&String| !before.contains_key(*table);
    changes.extend(
        after.keys().filter(is_new).map(|table| Change::TableGained { table: table.clone(), after: after[table] }),
    );
    changes.sort_by_key(|change| !change.is_loss());
    changes
}

/// In what a restored database differs from what was dumped; empty where it agrees. Extensions may have another
/// version, which is not told here.
pub fn differences(
    wanted: &Inventory,
    sequences: (&Positions, &Positions),
    found: &(Inventory, Positions),
) -> Vec<String> {
    let (inventory, positions) = found;
    let mut all: Vec<String> =
        compare_counts(&wanted.counts, &inventory.counts).iter().map(Change::to_string).collect();
    if wanted.large_objects != inventory.large_objects {
        all.push(format!("{} large objects instead of {}", inventory.large_objects, wanted.large_objects));
    }
    for (what, wanted, found) in
        [("constraint", &wanted.constraints, &inventory.constraints), ("index", &wanted.indexes, &inventory.indexes)]
    {
        all.extend(wanted.difference(found).map(|it| format!("{what} missing: {it}")));
        all.extend(found.difference(wanted).map(|it| format!("{what} not expected: {it}")));
    }
    for (kind, wanted) in &wanted.objects {
        let found = inventory.objects.get(kind).copied().unwrap_or(0);
        if found != *wanted {
            all.push(format!("{found} {kind} instead of {wanted}"));
        }
    }
    // A manifest of before tells nothing of parts.
    let moved = wanted.parts.iter().filter(|it| inventory.parts.get(it.0) != Some(it.1));
    all.extend(moved.map(|(part, whole)| format!("{part} is no part of {whole}")));
    let missing = wanted.extensions.keys().filter(|name| !inventory.extensions.contains_key(*name));
    all.extend(missing.map(|name| format!("extension missing: {name}")));
    all.extend(sequence_differences(sequences.0, sequences.1, positions));
    all
}

/// A sequence takes no notice of snapshots, so it must lie between the readings before and after the dump.
fn sequence_differences(before: &Positions, after: &Positions, found: &Positions) -> Vec<String> {
    let mut all = Vec::new();
    let readings: BTreeMap<&String, Vec<Position>> =
        before.iter().chain(after).fold(BTreeMap::new(), |mut all: BTreeMap<_, Vec<_>>, (name, position)| {
            all.entry(name).or_default().push(*position);
            all
        });
    for (name, readings) in readings {
        // One that was read only once was made or dropped meanwhile.
        let (Some(first), Some(last)) = (readings.first(), readings.get(1)) else { continue };
        let (low, high) = (first.last_value.min(last.last_value), first.last_value.max(last.last_value));
        match found.get(name) {
            None => all.push(format!("sequence missing: {name}")),
            Some(it) if it.last_value < low || it.last_value > high => {
                all.push(format!("the sequence {name} is at {}, not between {low} and {high}", it.last_value));
            }
            Some(it) if first == last && it != first => {
                all.push(format!("the sequence {name} is at {it:?} instead of {first:?}"));
            }
            Some(_) => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(table, n)| ((*table).to_owned(), *n)).collect()
    }

    #[test]
    fn losses_come_first_and_an_empty_table_that_goes_is_none() {
        let before = counts(&[("a", 10), ("b", 5), ("c", 0), ("d", 1)]);
        let after = counts(&[("a", 9), ("b", 6), ("e", 3)]);
        let changes = compare_counts(&before, &after);
        let losses: Vec<&str> = changes.iter().filter(|it| it.is_loss()).map(Change::table).collect();
        assert_eq!(losses, ["a", "d"]);
        assert_eq!(changes.len(), 5);
        assert!(changes[0].is_loss() && changes[1].is_loss());
        assert!(compare_counts(&before, &before).is_empty());
    }

    #[test]
    fn a_sequence_lies_between_the_readings_whichever_way_it_goes() {
        let at = |last_value| Positions::from([("s".to_owned(), Position { last_value, is_called: true })]);
        assert!(sequence_differences(&at(5), &at(9), &at(7)).is_empty());
        assert!(sequence_differences(&at(9), &at(5), &at(7)).is_empty(), "it counts down");
        assert_eq!(sequence_differences(&at(5), &at(9), &at(10)).len(), 1);
        assert_eq!(sequence_differences(&at(5), &at(9), &Positions::new()).len(), 1);
        let first = Positions::from([("s".to_owned(), Position { last_value: 5, is_called: false })]);
        assert_eq!(sequence_differences(&at(5), &at(5), &first).len(), 1, "it would give 5 twice");
        assert!(sequence_differences(&Positions::new(), &at(5), &Positions::new()).is_empty(), "made meanwhile");
    }
}
