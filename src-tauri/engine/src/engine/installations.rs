//! The verbs about an installation as it stands: adding it, asking after its health, its releases, its plan.

use std::path::PathBuf;
use std::sync::Arc;

use crate::drivers::Gate;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::finding::Severity;
use crate::model::ids::InstallationName;
use crate::model::profile::Profile;
use crate::ports::Reporter;
use crate::process::{Silent, SystemRunner};
use crate::profiles;
use crate::site::Site;
use crate::state::installations::Installation;
use crate::state::upgrades::Options;
use crate::steps::check::{Way, survey};
use crate::upgrade::plan::steps_of;
use crate::view::{AskedSettingView, CheckView, ErrorView, InstallationView, PlanView, PlannedStep, ProbeView};

/// What is needed to look after an installation.
#[derive(Debug, Clone)]
pub struct AddRequest {
    /// Id of a built-in profile, or path of one.
    pub profile: String,
    /// The installation's folder.
    pub folder: PathBuf,
    /// Its name; the application's id where none is given.
    pub name: Option<InstallationName>,
}

impl Engine {
    /// Looks after an installation from now on. Looks whether the folder is what the profile says; changes nothing that is in it.
    ///
    /// # Errors
    /// `locked`; the profile's mistakes; `folder_missing`, `not_recognised`, `folder_not_writable`, `name_taken`, `folder_taken`.
    pub fn add(&self, request: &AddRequest) -> Result<InstallationView> {
        self.must_be_unlocked()?;
        self.look_after(profiles::resolve(&request.profile)?, request)
    }

    /// The same by a profile that was looked up before.
    pub(super) fn look_after(&self, profile: Profile, request: &AddRequest) -> Result<InstallationView> {
        let folder = request.folder.canonicalize().map_err(|cause| {
            Error::usage("folder_missing", format!("There is no folder {}.", request.folder.display()))
                .remedy("Give the folder in which the application is installed.")
                .because(&cause)
        })?;
        for file in &profile.recognise.files {
            if !file.under(&folder).exists() {
                return Err(Error::refused(
                    "not_recognised",
                    format!(
                        "{} does not look like {}: {} is not there.",
                        folder.display(),
                        profile.application.name,
                        file.as_str()
                    ),
                )
                .remedy("Give the folder in which the application is installed, or another profile."));
            }
        }
        tempfile::Builder::new().prefix(".liftlock-").tempfile_in(&folder).map_err(|cause| {
            Error::refused("folder_not_writable", format!("Liftlock may not write to {}.", folder.display()))
                .remedy("Run Liftlock as the user who owns this folder.")
                .because(&cause)
        })?;
        let name = match &request.name {
            Some(name) => name.clone(),
            None => profile.application.id.parse()?,
        };
        let mut installation = Installation {
            name: name.clone(),
            folder,
            application: profile.application.id.clone(),
            profile: profile.source,
            version: None,
            added_at: self.clock.now(),
        };
        let site = self.site(&installation)?;
        // Whatever cannot be told of it is told before anything of it is written down.
        let release = site.driver.current_release()?;
        site.driver.adopt()?;
        // An application that is down can be added; checking it will say what is wrong.
        installation.version = site.ask_version(Gate::Public, &Silent).ok().map(|it| it.to_string());
        self.db()?.add_installation(&installation)?;
        self.note_installation(&installation)?;
        if let Some(version) = release {
            site.take_baseline(&version, &Silent)?;
        }
        let mut all = self.installations()?;
        all.retain(|it| it.name == name);
        all.pop().ok_or_else(|| Error::bug("added_and_gone", "An installation was added and is not there."))
    }

    /// Asks every probe now.
    ///
    /// # Errors
    /// `unknown_installation`; a profile that cannot be looked up.
    pub fn check(&self, name: &InstallationName) -> Result<CheckView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let site = self.site(&installation)?;
        let probes: Vec<ProbeView> = site.observe(&Silent)?.iter().map(ProbeView::of).collect();
        let version = site.ask_version(Gate::Public, &Silent).ok().map(|it| it.to_string());
        if let Some(version) = &version {
            db.observe_version(name, version, self.clock.now())?;
        }
        let healthy = version.is_some() && probes.iter().all(|it| it.up || !it.required);
        if !db.originals(Some(name))?.is_empty() {
            db.see(name, healthy, self.clock.now())?;
        }
        Ok(CheckView { installation: name.clone(), healthy, version, probes })
    }

    /// What an upgrade would do. Touches nothing and leaves no trace in the history.
    ///
    /// # Errors
    /// `unknown_installation`; a profile that cannot be looked up. What would stop the upgrade is a finding.
    pub fn plan(&self, name: &InstallationName, to: Option<&str>, options: &Options) -> Result<PlanView> {
        self.plan_telling(name, to, options, &Silent)
    }

    /// The same, telling how far it is: files of the release may have to be fetched to be looked at.
    ///
    /// # Errors
    /// As [`Engine::plan`]; what the reporter says.
    pub fn plan_telling(
        &self,
        name: &InstallationName,
        to: Option<&str>,
        options: &Options,
        reporter: &dyn Reporter,
    ) -> Result<PlanView> {
        let installation = self.db()?.installation(name)?;
        let site = self.site(&installation)?;
        let cache = site.answers()?;
        let survey = survey(&site, to, options, site.line(&cache, reporter))?;
        let path: Vec<String> = survey.path.iter().map(ToString::to_string).collect();
        let version = path.last().cloned();
        Ok(PlanView {
            installation: name.clone(),
            from: survey.from.map(|it| it.to_string()),
            possible: version.is_some() && survey.findings.iter().all(|it| it.severity < Severity::Stop),
            path,
            to: version,
            rehearsal: survey.rehearsal.is_none(),
            way: if survey.ways.values().any(|it| *it == Way::InPlace) { "in_place" } else { "copy" }.to_owned(),
            trust: survey.pinned.as_ref().map(|it| it.trust),
            asset: survey.pinned.as_ref().map(|it| it.asset.name.clone()),
            sha256: survey.pinned.and_then(|it| it.sha256),
            asked: survey.asked.iter().map(AskedSettingView::of).collect(),
            lines: survey.lines,
            findings: survey.findings,
            steps: steps_of(&site, options)
                .iter()
                .map(|it| {
                    let key = it.key();
                    let about = [key.component, key.store].into_iter().find(|it| !it.is_empty());
                    PlannedStep { phase: it.phase(), step: key.step, about, does: it.does() }
                })
                .collect(),
            notes: survey.target.map(|it| it.notes).unwrap_or_default(),
        })
    }

    /// The profile of a recorded installation. It was checked when it was added, but what is on disk may be anything.
    pub(crate) fn profile_of(&self, installation: &Installation) -> Result<Profile> {
        Profile::parse(&installation.profile)
            .map_err(|mistakes| profiles::invalid(installation.name.as_str(), &mistakes))
    }

    /// An installation, looked up, for verbs that act on nobody's behalf.
    pub(crate) fn site(&self, installation: &Installation) -> Result<Site> {
        let runner = Arc::new(SystemRunner::new().clock(Arc::clone(&self.clock)));
        Site::open(installation.clone(), &self.home, runner, Arc::clone(&self.clock), "liftlock")
    }
}

impl ProbeView {
    /// The view of an answer.
    pub(crate) fn of(seen: &crate::probes::Observation) -> Self {
        use crate::probes::Outcome;
        let (latency, error) = match &seen.outcome {
            Outcome::Up { latency_ms } => (*latency_ms, None),
            Outcome::Down { latency_ms, error_class, message, remedy } => (
                *latency_ms,
                Some(ErrorView {
                    class: error_class.clone(),
                    code: 1,
                    message: message.clone(),
                    remedy: remedy.clone(),
                    details: Vec::new(),
                }),
            ),
        };
        Self {
            name: seen.probe.clone(),
            required: seen.required,
            up: error.is_none(),
            latency_ms: latency as u64,
            error,
        }
    }
}
