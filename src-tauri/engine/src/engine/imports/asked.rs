//! Rows that are there already: what is shown of them, who is asked, and what was said.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::import;
use crate::import::mapping::Duplicates;
use crate::import::read::Input;
use crate::stores::intake::{Assignment, Came, Entity, There};
use crate::view::{PairField, PairView};

/// What a person says of a row that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Whether it gets the values of the export.
    pub takes: bool,
    /// Whether that holds for all the others of its kind too.
    pub for_all: bool,
}

/// Asks a person about a row that is there already; `None` where nobody answers.
pub type Asker<'a> = dyn Fn(&PairView) -> Option<Said> + 'a;

/// The rows of each entity that a person is to be asked about.
pub(super) fn pairs_of(
    entities: &[Entity],
    tried: &[Came],
    inputs: &BTreeMap<usize, Input>,
) -> Result<Vec<Vec<PairView>>> {
    let of = |(entity, came): (&Entity, &Came)| {
        let numbers: BTreeSet<u64> = came.pairs.iter().map(|it| it.n).collect();
        let lines =
            inputs.get(&entity.staged).map(|it| import::lines_of(it, &numbers)).transpose()?.unwrap_or_default();
        let field = |(at, column): (usize, &Assignment), pair: &There| PairField {
            column: column.to.name.clone(),
            there: pair.there.get(at).cloned().flatten(),
            comes: pair.comes.get(at).cloned().flatten(),
        };
        let pair = |it: &There| PairView {
            entity: entity.entity.clone(),
            key: it.key.clone(),
            line: lines.get(&it.n).copied(),
            fields: entity
                .columns
                .iter()
                .enumerate()
                .filter(|(_, column)| !column.only_new)
                .map(|column| field(column, it))
                .collect(),
        };
        Ok(came.pairs.iter().map(pair).collect())
    };
    entities.iter().zip(tried).map(of).collect()
}

/// Asks about each, and takes the answers down. Whether there was any.
pub(super) fn has_answers(entities: &mut [Entity], pairs: &[Vec<PairView>], asker: &Asker<'_>) -> bool {
    let mut any = false;
    for (entity, pairs) in entities.iter_mut().zip(pairs) {
        for pair in pairs {
            let Some(said) = asker(pair) else { return false };
            any = true;
            entity.answers.insert(pair.key.clone(), said.takes);
            if said.for_all {
                entity.duplicates = if said.takes { Duplicates::Update } else { Duplicates::Skip };
                break;
            }
        }
    }
    any
}

/// Rows that are there already want a person's word.
pub(super) fn unanswered(entities: &[Entity], tried: &[Came], trial: bool) -> Result<()> {
    let asked = |(_, came): &(&Entity, &Came)| came.asked > 0;
    let found: Vec<_> = entities.iter().zip(tried).filter(asked).collect();
    if trial || found.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = found.iter().map(|(entity, came)| format!("{} of {}", came.asked, entity.entity)).collect();
    Err(Error::refused("duplicates_unanswered", format!("Some rows are there already, with other values: {}. Nothing came in.", list.join(", ")))
        .remedy("Say what happens to them: --duplicates skip leaves them as they are, --duplicates update gives them the values of the export."))
}
