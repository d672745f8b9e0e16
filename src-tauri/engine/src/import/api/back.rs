//! What an import brought in through the application is taken back through it, and nothing else.
//!
//! Each is looked at first: one that was changed since stays. Removing and putting back can be done twice, so an undo that
//! was interrupted is simply done again.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ledger::{Act, Record};
use super::send::with_id;
use super::wire::Said;
use super::{ApiIntake, json, table};
use crate::error::Result;
use crate::ports::{Reporter, Unit};
use crate::stores::intake::{Column, TakenBack};

/// Reasons that are told one by one.
const TOLD: usize = 1000;

/// What became of one.
enum Back {
    Removed,
    Restored,
    /// There is nothing to take back.
    Nothing,
    Stays(String),
}

impl ApiIntake {
    pub(super) fn take_all_back(&self, run: &str, reporter: &dyn Reporter) -> Result<Vec<TakenBack>> {
        let mut all = Vec::new();
        for (entity, rows) in self.ledger.entities(run)? {
            let done = self.take_back_of(run, &entity, rows, reporter);
            // What was taken back needs no record any more, whatever ended it.
            self.ledger.keep()?;
            all.push(done?);
        }
        Ok(all)
    }

    fn take_back_of(&self, run: &str, entity: &str, rows: u64, reporter: &dyn Reporter) -> Result<TakenBack> {
        reporter.say(&format!("taking back {entity}"));
        let mut taken = TakenBack { table: entity.to_owned(), ..TakenBack::default() };
        let (mut at, mut done) = (i64::MAX, 0);
        loop {
            let some = self.ledger.some(run, entity, at)?;
            let Some(last) = some.last() else { return Ok(taken) };
            at = last.0;
            for (_, record) in &some {
                reporter.check()?;
                match self.take_one_back(record, reporter)? {
                    Back::Removed => taken.removed += 1,
                    Back::Restored => taken.restored += 1,
                    Back::Nothing => {}
                    Back::Stays(why) => {
                        taken.staying += 1;
                        if taken.stay.len() < TOLD {
                            let called = record.id.as_deref().map_or_else(|| record.key.clone(), json::plain);
                            taken.stay.push(format!("{called}: {why}"));
                        }
                        continue;
                    }
                }
                self.ledger.forget(record)?;
                done += 1;
                reporter.moved(done, Some(rows.max(done)), Unit::Rows);
            }
        }
    }

    fn take_one_back(&self, record: &Record, reporter: &dyn Reporter) -> Result<Back> {
        let settled;
        let record = match record.act {
            Act::Found => return Ok(Back::Nothing),
            // It may have arrived.
            Act::Sending => match self.settled(record, reporter)? {
                Some(it) => {
                    settled = it;
                    &settled
                }
                None => return Ok(Back::Nothing),
            },
            Act::Inserted | Act::Changing | Act::Updated => record,
        };
        let id = record.id.as_deref().unwrap_or_default();
        if let Some((_, path)) = record.read.as_deref().and_then(|it| with_id(it, id)) {
            match self.wire.ask_again("GET", &path, None, reporter)? {
                Said::Gone(_) => return Ok(Back::Nothing),
                Said::Done(Some(there)) if !self.is_as_left(record, &there) => {
                    return Ok(Back::Stays("it was changed since".to_owned()));
                }
                Said::Done(_) => {}
                Said::Refused(why) => return Ok(Back::Stays(why)),
            }
        }
        let removes = matches!(record.act, Act::Inserted | Act::Sending);
        let call = if removes { record.remove.as_deref() } else { record.update.as_deref() };
        let Some((method, path)) = call.and_then(|it| with_id(it, id)) else {
            return Ok(Back::Stays("the profile does not say how it is taken back".to_owned()));
        };
        let body = record.before.as_deref().filter(|_| !removes);
        Ok(match self.wire.ask_again(&method, &path, body, reporter)? {
            Said::Done(_) if removes => Back::Removed,
            Said::Done(_) => Back::Restored,
            Said::Gone(_) => Back::Nothing,
            Said::Refused(why) => Back::Stays(why),
        })
    }

    /// One that may have arrived, if it has.
    fn settled(&self, record: &Record, reporter: &dyn Reporter) -> Result<Option<Record>> {
        let (Some(find), Some(api)) = (&record.find, self.entities.get(&record.entity)) else { return Ok(None) };
        let there = self.look(find, api, reporter)?.ok().flatten();
        let id = there.and_then(|it| json::at(&it, &api.id)).filter(|it| !json::is_null(it));
        Ok(id.map(|id| Record { id: Some(id.get().trim().to_owned()), ..record.clone() }))
    }

    /// Whether it has the values that it was left with. What is not known of it says nothing.
    fn is_as_left(&self, record: &Record, there: &RawValue) -> bool {
        let mark: Option<BTreeMap<String, Box<RawValue>>> =
            record.mark.as_deref().and_then(|it| serde_json::from_str(it).ok());
        let table = self.entities.get(&record.entity).map(|api| table(&record.entity, api));
        mark.into_iter().flatten().all(|(name, was)| {
            let column = table.as_ref().and_then(|it| it.columns.iter().find(|it| it.name == name));
            let Some(column) = column else { return true };
            let list = table.as_ref().and_then(|it| it.lists.iter().find(|it| it.column == name));
            let members: Option<&[Column]> = list.map(|it| it.columns.as_slice());
            json::is_same(was.get(), json::at(there, &name).as_deref(), column, members)
        })
    }
}
