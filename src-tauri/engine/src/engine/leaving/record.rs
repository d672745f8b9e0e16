//! Where it stands, as it is remembered: one record an installation that is left.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::export::manifest::{BytesForm, FileFormat};
use crate::import::mapping::Duplicates;
use crate::model::ids::InstallationName;
use crate::process::Identity;
use crate::state::Db;
use crate::view::PairAnswer;
use crate::view::window::{
    LeavingAct, LeavingChoice, LeavingEntity, LeavingImport, LeavingProblem, LeavingStep, LeavingTakenBack,
    LeavingWork, Separator,
};

/// What is remembered of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) to: String,
    pub(super) from: String,
    pub(super) step: LeavingStep,
    pub(super) reasons: Vec<String>,
    /// As they were when somebody looked last: counting takes time.
    pub(super) entities: Vec<LeavingEntity>,
    /// All of them where nothing was chosen yet.
    pub(super) choice: Option<LeavingChoice>,
    pub(super) exported: Option<PathBuf>,
    /// What a person asked for, until it has ended.
    pub(super) asked: Option<Asked>,
    pub(super) problem: Option<LeavingProblem>,
    pub(super) imported: Option<LeavingImport>,
    /// The folder that comes in next; the export where there is none.
    pub(super) source: Option<PathBuf>,
    /// It is about what was entered in a version that was gone back from.
    #[serde(default)]
    pub(super) is_return: bool,
    /// Imports that are not taken back, oldest first.
    pub(super) runs: Vec<String>,
    pub(super) taken_back: Option<LeavingTakenBack>,
}

/// An act, asked for by whoever was allowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) act: LeavingAct,
    pub(super) at: DateTime<Utc>,
    /// The process that starts the worker.
    #[serde(default)]
    pub(super) by: Option<Identity>,
    /// Begin without an export, where a person said so.
    pub(super) without_export: bool,
    /// What happens to rows that are there.
    pub(super) duplicates: Option<Duplicates>,
    /// What a person said of single ones.
    #[serde(default)]
    pub(super) answers: Vec<PairAnswer>,
}

impl Record {
    pub(super) fn new(from: String, to: String) -> Self {
        Self {
            to,
            from,
            step: LeavingStep::Changes,
            reasons: Vec::new(),
            entities: Vec::new(),
            choice: None,
            exported: None,
            asked: None,
            problem: None,
            imported: None,
            source: None,
            is_return: false,
            runs: Vec::new(),
            taken_back: None,
        }
    }

    /// What was chosen, or what is without a choice.
    pub(super) fn choice(&self) -> LeavingChoice {
        self.choice.clone().unwrap_or_else(|| LeavingChoice {
            entities: self.entities.iter().map(|it| it.key.clone()).collect(),
            everything: false,
            formats: vec![FileFormat::Csv],
            separator: Separator::Comma,
            bytes: BytesForm::default(),
            zip: false,
        })
    }

    /// Whether a card has to lead back to it.
    pub(super) fn is_under_way(&self) -> bool {
        let is_through = self.imported.as_ref().is_some_and(|it| !it.is_dry_run && it.came_in == it.total);
        self.asked.is_some() || (self.step > LeavingStep::Changes && !is_through)
    }
}

fn record_key(name: &InstallationName) -> String {
    format!("leaving:{name}")
}

fn worker_key(name: &InstallationName) -> String {
    format!("leaving_worker:{name}")
}

fn work_key(name: &InstallationName) -> String {
    format!("leaving_work:{name}")
}

impl Db {
    pub(super) fn leaving(&self, name: &InstallationName) -> Result<Option<Record>> {
        self.note(&record_key(name))?.map(|text| read(&text)).transpose()
    }

    pub(super) fn keep_leaving(&mut self, name: &InstallationName, record: &Record) -> Result<()> {
        let text = written(record)?;
        self.set_note(&record_key(name), &text)
    }

    pub(super) fn forget_leaving(&mut self, name: &InstallationName) -> Result<()> {
        for key in [record_key(name), worker_key(name), work_key(name)] {
            self.forget_note(&key)?;
        }
        Ok(())
    }

    /// The worker that took it on last, alive or not.
    pub(super) fn leaving_worker(&self, name: &InstallationName) -> Result<Option<Identity>> {
        self.note(&worker_key(name))?.map(|text| read(&text)).transpose()
    }

    /// Makes this worker the one that does what was asked for, unless another one that lives does it already.
    pub(super) fn take_on_leaving(&mut self, name: &InstallationName, worker: &Identity) -> Result<bool> {
        let text = written(worker)?;
        let key = worker_key(name);
        self.replace_note(&key, &text, |kept| Ok(!read::<Identity>(kept)?.is_alive()))
    }

    pub(super) fn let_go_of_leaving(&mut self, name: &InstallationName) -> Result<()> {
        self.forget_note(&worker_key(name))
    }

    /// How far it is.
    pub(super) fn leaving_work(&self, name: &InstallationName) -> Result<Option<LeavingWork>> {
        self.note(&work_key(name))?.map(|text| read(&text)).transpose()
    }

    pub(super) fn keep_leaving_work(&mut self, name: &InstallationName, work: Option<&LeavingWork>) -> Result<()> {
        match work {
            Some(work) => {
                let text = written(work)?;
                self.set_note(&work_key(name), &text)
            }
            None => self.forget_note(&work_key(name)),
        }
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| {
        Error::failed("state_corrupt", "What is remembered of leaving an old version cannot be read.")
            .remedy("Run `liftlock doctor`. Delete nothing; `liftlock export`, `fresh-start` and `import` do the same.")
            .because(&cause)
    })
}

fn written(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
}
