//! What changes something in the application: always on record before it leaves.

use serde_json::value::RawValue;

use super::ApiIntake;
use super::json;
use super::ledger::{Act, LaidRow, Record};
use super::row::{Built, Outcome};
use super::wire::{Answer, Asked, Said};
use crate::crash::{self, Moment};
use crate::error::{Error, Result};
use crate::model::profile::fill;
use crate::ports::Reporter;
use crate::stores::intake::{Run, Trouble};

impl ApiIntake {
    /// What would be written down of a row.
    pub(super) fn record(&self, run: &Run, built: &Built<'_>, row: &LaidRow, id: Option<Box<RawValue>>) -> Record {
        let (api, entity) = (built.api, built.entity);
        Record {
            source: run.source.clone(),
            run: run.id.clone(),
            entity: entity.entity.clone(),
            key: row.key.clone(),
            act: Act::Sending,
            token: uuid::Uuid::now_v7().to_string(),
            id: id.map(|it| it.get().trim().to_owned()),
            find: built.find(),
            read: api.reading().and_then(|it| Some(format!("GET {}", built.path(&it.path)?))),
            update: built.call(api.update.as_ref(), "PATCH"),
            remove: built.call(api.remove.as_ref(), "DELETE"),
            before: None,
            mark: None,
        }
    }

    /// Sends one that is not there. `known` is the record of one that was sent and has not arrived.
    pub(super) fn create(
        &self,
        run: &Run,
        built: &Built<'_>,
        row: &LaidRow,
        known: Option<Record>,
        reporter: &dyn Reporter,
    ) -> Result<Outcome> {
        let fresh = self.record(run, built, row, None);
        // It keeps what the application may know it by.
        let token = known.filter(|it| it.act == Act::Sending).map_or(fresh.token.clone(), |it| it.token);
        let record = Record { token, ..fresh };
        self.ledger.intend(&record)?;
        crash::point("forward", &format!("import/sent/{}/{}", record.entity, row.n), Moment::AfterIntent);
        let call = built.call(Some(&built.api.create), "POST").unwrap_or_default();
        let (method, path) = call.split_once(' ').unwrap_or(("POST", &call));
        let body = built.body(false);
        let asked = Asked { method, path, body: Some(&body), token: Some(&record.token) };
        let mut look = || match &record.find {
            // What may have arrived is looked for, unless the application knows it again by itself.
            Some(find) => Ok(self.look(find, built.api, reporter)?.ok().flatten()),
            None => Ok(None),
        };
        let answer = self.wire.ask(asked, reporter, &mut look)?;
        crash::point("forward", &format!("import/sent/{}/{}", record.entity, row.n), Moment::AfterEffect);
        match answer {
            Answer::Arrived(there) => self.arrived(built, record, &there)?,
            Answer::Said(Said::Done(told)) => {
                let id = told.as_deref().and_then(|it| json::at(it, &built.api.id)).filter(|it| !json::is_null(it));
                match id {
                    Some(id) => {
                        let mark = Some(built.mark(told.as_deref()));
                        let id = Some(id.get().trim().to_owned());
                        self.ledger.note(&Record { act: Act::Inserted, id, mark, ..record })?;
                    }
                    // It did not say what it calls it.
                    None => match look()? {
                        Some(there) => self.arrived(built, record, &there)?,
                        None => return Err(no_id(built)),
                    },
                }
            }
            Answer::Said(Said::Refused(why) | Said::Gone(why)) => {
                self.ledger.forget(&record)?;
                let why = if why.is_empty() { "the application does not take it".to_owned() } else { why };
                return Ok(Outcome::Out(Trouble { n: row.n, col: None, why }));
            }
        }
        Ok(Outcome::Inserted)
    }

    /// One that was sent is there.
    pub(super) fn arrived(&self, built: &Built<'_>, record: Record, there: &RawValue) -> Result<()> {
        let id = json::at(there, &built.api.id).filter(|it| !json::is_null(it)).ok_or_else(|| no_id(built))?;
        let (id, mark) = (Some(id.get().trim().to_owned()), Some(built.mark(Some(there))));
        let read = self.record_paths(built, record);
        self.ledger.note(&Record { act: Act::Inserted, id, mark, ..read })
    }

    /// The paths as they are now: the profile may have been corrected since.
    fn record_paths(&self, built: &Built<'_>, record: Record) -> Record {
        let api = built.api;
        Record {
            read: api.reading().and_then(|it| Some(format!("GET {}", built.path(&it.path)?))),
            update: built.call(api.update.as_ref(), "PATCH"),
            remove: built.call(api.remove.as_ref(), "DELETE"),
            ..record
        }
    }

    /// Gives one that is there other values. What it had is on record first.
    pub(super) fn change(
        &self,
        built: &Built<'_>,
        row: &LaidRow,
        record: Record,
        (there, before): (&RawValue, String),
        reporter: &dyn Reporter,
    ) -> Result<Outcome> {
        let id = json::at(there, &built.api.id).filter(|it| !json::is_null(it)).ok_or_else(|| no_id(built))?;
        let id = id.get().trim().to_owned();
        let record = Record { act: Act::Changing, id: Some(id.clone()), before: Some(before), ..record };
        let out = |why: String| Ok(Outcome::Out(Trouble { n: row.n, col: None, why }));
        let call = record.update.as_deref().and_then(|it| with_id(it, &id));
        let Some((method, path)) = call else { return out("the profile does not say how it gets other values".into()) };
        self.ledger.intend(&record)?;
        crash::point("forward", &format!("import/changed/{}/{}", record.entity, row.n), Moment::AfterIntent);
        let said = self.wire.ask_again(&method, &path, Some(&built.body(true)), reporter)?;
        crash::point("forward", &format!("import/changed/{}/{}", record.entity, row.n), Moment::AfterEffect);
        match said {
            Said::Done(told) => {
                let mark = Some(built.mark(told.as_deref()));
                self.ledger.note(&Record { act: Act::Updated, mark, ..record })?;
                Ok(Outcome::Updated)
            }
            Said::Refused(why) | Said::Gone(why) => {
                self.ledger.forget(&record)?;
                out(if why.is_empty() { "the application does not change it".to_owned() } else { why })
            }
        }
    }

    /// Whether what is on record is still there.
    pub(super) fn is_there(&self, record: &Record, reporter: &dyn Reporter) -> Result<bool> {
        let id = record.id.as_deref().unwrap_or_default();
        let Some((_, path)) = record.read.as_deref().and_then(|it| with_id(it, id)) else { return Ok(true) };
        Ok(!matches!(self.wire.ask_again("GET", &path, None, reporter)?, Said::Gone(_)))
    }
}

/// A method and a path with what the application calls it.
pub(super) fn with_id(call: &str, id: &str) -> Option<(String, String)> {
    let (method, path) = call.split_once(' ')?;
    let path = fill(path, &|name| (name == "id").then(|| json::plain(id)))?;
    Some((method.to_owned(), path))
}

fn no_id(built: &Built<'_>) -> Error {
    let message = format!("The application did not say what it calls one of {}.", built.entity.entity);
    Error::failed("api_unread", message)
        .remedy(format!("Its answer has no “{}”: correct “id” in the profile, then import again.", built.api.id))
}
