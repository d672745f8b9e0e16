//! Whether the data is where a release needs it, by two commands of its own: one says what it needs, the other what the
//! data is at.
//!
//! Migrations may end well and have done nothing (another folder, another branch of them), and an application may call
//! itself well on data that nobody has fitted to it. So both are asked again once the migrations have ended: in the
//! rehearsal, and on the copies before the new version may start.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::profile::{CommandLine, Migrations, SchemaVersion};
use crate::model::state::State;
use crate::ports::{Finished, Patience};
use crate::state::journal::StepKey;
use crate::steps::commands::{Pointed, did_not_work, run};
use crate::steps::migrate::places;
use crate::steps::rehearse::{Rehearse, Rehearsed};
use crate::steps::{Observed, Step, World, key, parse};
use crate::stores::DataStore;

/// Both commands only read.
pub(crate) const ASKED: Patience = Patience { deadline: Duration::from_secs(120), stall_after: None };
/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// Holds the data against what the release needs, before the new version may start.
#[derive(Debug, Clone)]
pub struct CheckSchema {
    /// The stores that the commands are pointed at.
    pub stores: Vec<Arc<dyn DataStore>>,
}

impl Step for CheckSchema {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        key("check_schema")
    }
    fn does(&self) -> String {
        "Ask whether the data is as the new version needs it; where it is not, the old version comes back.".to_owned()
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        let Some(migrations) = &world.site.profile.migrations else { return Ok(json!({})) };
        let at = places(&self.stores, world)?;
        let release = world.site.release_folder(&checked.to)?;
        let pointed = Pointed { release: &release, version: &checked.to, at, env: Vec::new(), network: None };
        let rehearsed: Option<Rehearsed> = world.answer(&Rehearse::key_of()).as_ref().map(parse).transpose()?;
        world.halfway("forward", &self.key());
        expect(world, migrations, &pointed, rehearsed.and_then(|it| it.schema))?;
        Ok(json!({ "ok": true }))
    }
}

/// The commands that tell, where the profile knows both.
pub(crate) fn questions(migrations: &Migrations) -> Option<(&CommandLine, &SchemaVersion)> {
    Some((migrations.schema_head.as_ref()?, migrations.schema_version.as_ref()?))
}

/// Sees to it that the data is where the release needs it, and answers where that is; `needed` where that is known
/// already. Nothing is asked where the profile knows no way to.
///
/// # Errors
/// `not_migrated`; `schema_unknown` where one of the commands does not work.
pub(crate) fn expect(
    world: &World<'_>,
    migrations: &Migrations,
    pointed: &Pointed<'_>,
    needed: Option<String>,
) -> Result<Option<String>> {
    let Some((head, version)) = questions(migrations) else { return Ok(None) };
    let ask = |line: &CommandLine| {
        let finished = run(world, line, pointed, ASKED.deadline, &[])?;
        if finished.succeeded() {
            return Ok(revisions(&finished));
        }
        Err(did_not_work("schema_unknown", "The command that tells whether the data was migrated", &finished))
    };
    let needed = needed.map_or_else(|| ask(head), Ok)?;
    let has = ask(&version.command_line())?;
    if has == needed {
        return Ok(Some(needed));
    }
    let (to, has) = (pointed.version, if has.is_empty() { "nothing".to_owned() } else { format!("“{}”", shown(&has)) });
    let message =
        format!("The migrations of {to} ended well, but the data is at {has} and {to} needs “{}”.", shown(&needed));
    Err(Error::failed("not_migrated", message).remedy("Report it to the makers of the application."))
}

/// What such a command says: a revision a line, in no order. What stands behind one in brackets is a remark, and not the
/// same in both: alembic says `d1 (head)` of what a release needs, and `d1 (head) (mergepoint)` of the same in the data.
pub(crate) fn revisions(said: &Finished) -> String {
    let mut all: Vec<&str> = said.stdout.lines().map(without_remarks).filter(|it| !it.is_empty()).collect();
    all.sort_unstable();
    all.join(", ")
}

/// As it is shown to a person.
pub(crate) fn shown(revisions: &str) -> String {
    revisions.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

fn without_remarks(line: &str) -> &str {
    let mut line = line.trim();
    while let Some((before, _)) = line.strip_suffix(')').and_then(|it| it.rsplit_once(" (")) {
        line = before.trim_end();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        revisions(&Finished { stdout: text.to_owned(), ..Finished::default() })
    }

    #[test]
    fn a_revision_is_the_same_with_other_remarks_and_in_another_order() {
        // As alembic 1.20 writes them.
        assert_eq!(said("d1 (head)\n"), said("d1 (head) (mergepoint)\n"));
        assert_eq!(said("b1 (head)\nc1 (head)\n"), said("c1 (head)\r\n\nb1\n"));
        assert_eq!(said("c1 (billing) (head)\nb1 (head)\n"), "b1, c1");
    }

    #[test]
    fn other_revisions_and_none_are_not_the_same() {
        assert_ne!(said("b1\nc1\n"), said("d1 (head) (mergepoint)\n"));
        assert_ne!(said("b1 (head)\n"), said("b1 (head)\nc1 (head)\n"));
        assert_eq!(said("\n"), "");
        assert_eq!((said("7"), said("v1(2)"), said("(head)")), ("7".into(), "v1(2)".into(), "(head)".into()));
    }
}
