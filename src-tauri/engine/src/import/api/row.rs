//! What becomes of one row: what it would be to the application, whether it is there already, and what follows.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ApiIntake;
use super::json::{self, Object};
use super::ledger::{Act, LaidRow, Record};
use super::wire::Said;
use crate::error::{Error, Result};
use crate::model::profile::{Call, EntityApi, FieldType, Find, fill, holes};
use crate::ports::Reporter;
use crate::stores::intake::{Column, Duplicates, Entity, Field, Run, There, Trouble, Value};

/// What became of a row.
pub(super) enum Outcome {
    Inserted,
    Updated,
    Skipped,
    Earlier,
    Asked(There),
    Out(Trouble),
}

/// What comes into one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Valued {
    Nothing,
    Json(String),
    /// It names something that would come in, and has no name yet.
    Later,
}

/// A row as the application is to get it: for each column of the mapping its value.
pub(super) struct Built<'e> {
    pub(super) entity: &'e Entity,
    pub(super) api: &'e EntityApi,
    pub(super) values: Vec<Valued>,
}

/// How one of an entity is found, where its key is that of the profile and something comes into it.
pub(super) fn findable<'a>(entity: &Entity, api: &'a EntityApi) -> Option<&'a Find> {
    let comes = |name: &&str| entity.columns.iter().any(|it| it.to.name == *name);
    let find = api.find.as_ref().filter(|it| holes(&it.path).iter().all(comes));
    find.filter(|_| !entity.natural_key.is_empty())
}

impl Built<'_> {
    /// The value of a field.
    pub(super) fn value(&self, name: &str) -> Option<&Valued> {
        let at = self.entity.columns.iter().position(|it| it.to.name == name)?;
        self.values.get(at)
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.values.contains(&Valued::Later)
    }

    fn in_path(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Valued::Json(json) => Some(json::plain(json)),
            Valued::Nothing | Valued::Later => Some(String::new()),
        }
    }

    /// A path with its fields filled in; `{id}` stays. `None` where a value can stand in none.
    pub(super) fn path(&self, path: &str) -> Option<String> {
        fill(path, &|name| self.in_path(name))
    }

    pub(super) fn call(&self, call: Option<&Call>, usual: &str) -> Option<String> {
        let call = call?;
        let method = call.method.map_or(usual, |it| it.word());
        Some(format!("{method} {}", self.path(&call.path)?))
    }

    /// What is sent. Nothing is sent of what there is no value for, unless it is to be emptied.
    pub(super) fn body(&self, empties: bool) -> String {
        let mut body = Object::default();
        for (column, value) in self.entity.columns.iter().zip(&self.values) {
            if self.api.fields.iter().any(|it| it.field == column.to.name && it.in_path) {
                continue;
            }
            match value {
                Valued::Json(json) => body.put(&column.to.name, json.clone()),
                Valued::Nothing if empties => body.put(&column.to.name, "null".to_owned()),
                Valued::Nothing | Valued::Later => {}
            }
        }
        body.text()
    }

    /// Where it is found by what people know it by; nothing where a part of that is missing.
    pub(super) fn find(&self) -> Option<String> {
        let find = findable(self.entity, self.api)?;
        let is_known = |it: &&str| matches!(self.value(it), Some(Valued::Json(_)));
        let is_whole = holes(&find.path).iter().all(is_known);
        is_whole.then(|| self.path(&find.path)).flatten()
    }

    /// What people know it by.
    fn natural_key(&self) -> Option<String> {
        let key: Option<Vec<&str>> = self
            .entity
            .natural_key
            .iter()
            .map(|it| if let Some(Valued::Json(json)) = self.value(it) { Some(json.as_str()) } else { None })
            .collect();
        key.filter(|it| !it.is_empty()).map(|it| it.join(","))
    }

    /// The values that it has now: what the application told of them, or what it was sent.
    pub(super) fn mark(&self, told: Option<&RawValue>) -> String {
        let mut mark = BTreeMap::new();
        for (column, value) in self.entity.columns.iter().zip(&self.values) {
            let told = told.and_then(|it| json::at(it, &column.to.name));
            let own = if let Valued::Json(json) = value { json.clone() } else { "null".to_owned() };
            let now = told.or_else(|| RawValue::from_string(own).ok());
            mark.extend(now.map(|it| (column.to.name.clone(), it)));
        }
        serde_json::to_string(&mark).unwrap_or_default()
    }

    /// Whether what is there is what would come.
    fn is_same(&self, there: &RawValue) -> bool {
        self.entity.columns.iter().zip(&self.values).all(|(column, value)| {
            let ours = if let Valued::Json(json) = value { json.as_str() } else { "null" };
            let theirs = json::at(there, &column.to.name);
            json::is_same(ours, theirs.as_deref(), &column.to, members(self.entity, &column.to.name))
        })
    }
}

/// What each row of a list holds.
pub(super) fn members<'e>(entity: &'e Entity, column: &str) -> Option<&'e [Column]> {
    entity.table.lists.iter().find(|it| it.column == column).map(|it| it.columns.as_slice())
}

impl ApiIntake {
    pub(super) fn row(
        &self,
        run: &Run,
        entity: &Entity,
        row: &LaidRow,
        trial: bool,
        reporter: &dyn Reporter,
    ) -> Result<Outcome> {
        let api = self.api(entity)?;
        let laid = self.lain()?;
        let out = |why: &str| Ok(Outcome::Out(Trouble { n: row.n, col: None, why: why.to_owned() }));
        if laid.is_twice(entity.staged, row)? {
            return out("its key is the one of an earlier row");
        }
        let mut known = self.ledger.find(&run.source, &entity.entity, &row.key)?;
        if let Some(it) = known.as_ref().filter(|it| !matches!(it.act, Act::Sending | Act::Changing)) {
            if it.run == run.id || self.is_there(it, reporter)? {
                return Ok(Outcome::Earlier);
            }
            // It is gone since, perhaps with a backup that was brought back: it comes in anew.
            if !trial {
                self.ledger.forget(it)?;
            }
            known = None;
        }
        let built = match self.built(run, entity, api, row, trial)? {
            Ok(built) => built,
            Err((col, why)) => return Ok(Outcome::Out(Trouble { n: row.n, col, why })),
        };
        if let Some(key) = built.natural_key()
            && laid.is_known(&entity.entity, &key)?
        {
            return out("an earlier row is the same one");
        }
        let needed = [Some(&api.create), api.update.as_ref(), api.remove.as_ref()];
        if needed.into_iter().flatten().any(|it| built.path(&it.path).is_none()) {
            return out("what stands in the address of the application must neither be empty nor dots");
        }
        let find = built.find();
        if find.is_none() && built.is_whole() && !self.wire.knows_again() {
            return out(&format!("without {} it cannot be told from others", entity.natural_key.join(", ")));
        }
        let there = match (&find, built.is_whole()) {
            (Some(find), true) => match self.look(find, api, reporter)? {
                Ok(there) => there,
                Err(why) => return out(&why),
            },
            _ => None,
        };
        match (known, there) {
            (Some(it), Some(there)) if it.act == Act::Changing => {
                let before = it.before.clone().unwrap_or_default();
                if trial {
                    return Ok(Outcome::Updated);
                }
                self.change(&built, row, Record { run: run.id.clone(), ..it }, (&there, before), reporter)
            }
            // It had arrived before the cut.
            (Some(it), Some(there)) => {
                if trial {
                    laid.would_come(&entity.entity, &row.key)?;
                } else {
                    self.arrived(&built, Record { run: run.id.clone(), ..it }, &there)?;
                }
                Ok(Outcome::Inserted)
            }
            (None, Some(there)) => self.there(run, &built, row, &there, trial, reporter),
            (known, None) if trial => {
                if known.is_none()
                    && let Some(why) = self.checked(&built, reporter)?
                {
                    return out(&why);
                }
                laid.would_come(&entity.entity, &row.key)?;
                Ok(Outcome::Inserted)
            }
            (known, None) => self.create(run, &built, row, known, reporter),
        }
    }

    /// One that is there already, by what people know it by.
    fn there(
        &self,
        run: &Run,
        built: &Built<'_>,
        row: &LaidRow,
        there: &RawValue,
        trial: bool,
        reporter: &dyn Reporter,
    ) -> Result<Outcome> {
        let entity = built.entity;
        let takes = match entity.answers.get(&row.key) {
            Some(takes) => Some(*takes),
            None => match entity.duplicates {
                Duplicates::Ask => None,
                Duplicates::Skip => Some(false),
                Duplicates::Update => Some(true),
            },
        };
        let takes = if built.is_same(there) { Some(false) } else { takes };
        let record = self.record(run, built, row, json::at(there, &built.api.id));
        match takes {
            None => {
                let columns = || entity.columns.iter().zip(&built.values);
                let shown = |json: &str| Some(json::plain(json)).filter(|_| json != "null");
                let pair = There {
                    n: row.n,
                    key: row.key.clone(),
                    there: columns()
                        .map(|(it, _)| json::at(there, &it.to.name).and_then(|it| shown(it.get().trim())))
                        .collect(),
                    comes: columns()
                        .map(|(_, it)| if let Valued::Json(json) = it { shown(json) } else { None })
                        .collect(),
                };
                if trial {
                    self.lain()?.would_come(&entity.entity, &row.key)?;
                }
                Ok(Outcome::Asked(pair))
            }
            Some(false) => {
                if trial {
                    self.lain()?.would_come(&entity.entity, &row.key)?;
                } else {
                    self.ledger.note(&Record { act: Act::Found, mark: None, ..record })?;
                }
                Ok(Outcome::Skipped)
            }
            Some(true) if record.update.is_none() => {
                let why = "it is there with other values, and the profile does not say how it gets others".to_owned();
                Ok(Outcome::Out(Trouble { n: row.n, col: None, why }))
            }
            Some(true) if trial => {
                self.lain()?.would_come(&entity.entity, &row.key)?;
                Ok(Outcome::Updated)
            }
            Some(true) => {
                let before = former(built, there);
                self.change(built, row, record, (there, before), reporter)
            }
        }
    }

    /// Whether the application would take it, where it says so without doing it. One that names something that has no name
    /// yet cannot be asked about.
    fn checked(&self, built: &Built<'_>, reporter: &dyn Reporter) -> Result<Option<String>> {
        let Some(call) = built.call(built.api.check.as_ref(), "POST").filter(|_| built.is_whole()) else {
            return Ok(None);
        };
        let (method, path) = call.split_once(' ').unwrap_or(("POST", &call));
        Ok(match self.wire.ask_again(method, path, Some(&built.body(false)), reporter)? {
            Said::Done(_) => None,
            Said::Refused(why) => Some(why),
            Said::Gone(_) => {
                return Err(Error::failed("api_unread", format!("The application knows no {path}."))
                    .remedy("Correct “check” in the profile, or take it out."));
            }
        })
    }

    /// What the application has under what people know it by; or why that is not to be told.
    pub(super) fn look(
        &self,
        path: &str,
        api: &EntityApi,
        reporter: &dyn Reporter,
    ) -> Result<std::result::Result<Option<Box<RawValue>>, String>> {
        let said = self.wire.ask_again("GET", path, None, reporter)?;
        let found = match said {
            Said::Done(found) => found,
            Said::Gone(_) => None,
            Said::Refused(why) => return Ok(Err(why)),
        };
        let place = api.find.as_ref().and_then(|it| it.at.as_deref());
        let found = found.and_then(|it| match place {
            Some(place) => json::at(&it, place),
            None => Some(it),
        });
        let Some(found) = found.filter(|it| !json::is_null(it)) else { return Ok(Ok(None)) };
        Ok(match json::list(&found) {
            None => Ok(Some(found)),
            Some(mut list) if list.len() < 2 => Ok(list.pop()),
            Some(list) => {
                Err(format!("the application knows {} of these, and which one is meant is not clear", list.len()))
            }
        })
    }

    fn built<'e>(
        &'e self,
        run: &Run,
        entity: &'e Entity,
        api: &'e EntityApi,
        row: &LaidRow,
        trial: bool,
    ) -> Result<std::result::Result<Built<'e>, (Option<String>, String)>> {
        let mut values = Vec::new();
        for column in &entity.columns {
            let of = |value, source: &LaidRow| self.valued(run, value, &column.to, source, trial);
            let value = match &column.value {
                Value::Gather { from, by, key, fields } => {
                    self.gathered(run, entity, &column.to, (*from, *by, *key, fields), row, trial)?
                }
                value => of(value, row)?,
            };
            match value {
                Ok(Valued::Nothing) if column.to.required => {
                    return Ok(Err((Some(column.label.clone()), format!("“{}” needs a value", column.to.name))));
                }
                Ok(value) => values.push(value),
                Err(why) => return Ok(Err((Some(column.label.clone()), why))),
            }
        }
        Ok(Ok(Built { entity, api, values }))
    }

    fn valued(
        &self,
        run: &Run,
        value: &Value,
        to: &Column,
        row: &LaidRow,
        trial: bool,
    ) -> Result<std::result::Result<Valued, String>> {
        let text = |at: &usize| row.values.get(*at).and_then(|it| it.as_deref());
        Ok(match value {
            Value::Plain { at, divide_by } => match text(at) {
                None => Ok(Valued::Nothing),
                Some(text) => json::value(text, to, *divide_by).map(Valued::Json),
            },
            Value::Constant(text) => json::value(text, to, None).map(Valued::Json),
            Value::Refers { at, entity } => match text(at) {
                None => Ok(Valued::Nothing),
                Some(key) => match self.called(run, entity, key, trial)? {
                    Some(called) => Ok(called),
                    None => Err(format!("{key} of {entity} did not come in")),
                },
            },
            Value::Gather { .. } => return Err(Error::bug("list_in_list", "A list was to come into a list.")),
        })
    }

    /// What something is called now that was called `key`.
    fn called(&self, run: &Run, entity: &str, key: &str, trial: bool) -> Result<Option<Valued>> {
        let known = self.ledger.find(&run.source, entity, key)?;
        if let Some(id) = known.filter(|it| it.act != Act::Sending).and_then(|it| it.id) {
            return Ok(Some(Valued::Json(id)));
        }
        let would = trial && self.lain()?.is_tried(entity, key)?;
        Ok(would.then_some(Valued::Later))
    }

    fn gathered(
        &self,
        run: &Run,
        entity: &Entity,
        to: &Column,
        (from, by, key, fields): (usize, usize, usize, &[Field]),
        row: &LaidRow,
        trial: bool,
    ) -> Result<std::result::Result<Valued, String>> {
        let width = self.widths.get(&from).copied().unwrap_or_default();
        let children = match row.values.get(key).and_then(|it| it.as_deref()) {
            Some(value) => self.lain()?.children(from, width, by, value)?,
            None => Vec::new(),
        };
        if children.is_empty() && to.required {
            return Ok(Ok(Valued::Nothing));
        }
        let (mut all, mut is_later) = (Vec::new(), false);
        for (number, child) in children.iter().enumerate() {
            let mut object = Object::default();
            for field in fields {
                let member = members(entity, &to.name).and_then(|it| it.iter().find(|it| it.name == field.name));
                let fallback;
                let member = match member {
                    Some(member) => member,
                    None => {
                        fallback = member_of(field);
                        &fallback
                    }
                };
                let said = |why: String| format!("{} {}: {}: {why}", to.name, number + 1, field.name);
                match self.valued(run, &field.value, member, child, trial)? {
                    Ok(Valued::Nothing) if member.required => return Ok(Err(said("it needs a value".to_owned()))),
                    Ok(Valued::Nothing) => {}
                    Ok(Valued::Later) => is_later = true,
                    Ok(Valued::Json(json)) => object.put(&field.name, json),
                    Err(why) => return Ok(Err(said(why))),
                }
            }
            all.push(object.text());
        }
        Ok(Ok(if is_later { Valued::Later } else { Valued::Json(format!("[{}]", all.join(","))) }))
    }
}

/// A member of a list that the profile says nothing of.
fn member_of(field: &Field) -> Column {
    let base = FieldType::Text.base().to_owned();
    Column {
        name: field.name.clone(),
        data_type: base.clone(),
        base,
        holds: field.holds,
        required: false,
        made: None,
        generated: false,
    }
}

/// What puts the former values back: of those that would get others.
fn former(built: &Built<'_>, there: &RawValue) -> String {
    let mut before = Object::default();
    for column in &built.entity.columns {
        let is_sent = !built.api.fields.iter().any(|it| it.field == column.to.name && it.in_path);
        if let Some(value) = json::at(there, &column.to.name).filter(|_| is_sent) {
            before.put(&column.to.name, value.get().to_owned());
        }
    }
    before.text()
}
