//! What a step may look at and act upon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::crash::{self, Moment};
use crate::error::{Error, Kind, Result};
use crate::model::ids::UpgradeId;
use crate::model::state::State;
use crate::ports::{Clock, Reporter};
use crate::site::Site;
use crate::state::journal::{Journal, StepKey};
use crate::state::upgrades::Options;
use crate::steps::check::Checked;
use crate::steps::pages::Pages;
use crate::steps::{Step, parse};
use crate::stores::{Sandbox, ServerLease};

/// Everything that the steps of one upgrade share.
pub struct World<'a> {
    /// The upgrade.
    pub id: UpgradeId,
    /// What was decided when it was asked for.
    pub options: &'a Options,
    /// The version asked for; none for the newest.
    pub wanted: Option<String>,
    /// The installation with everything that its profile says, resolved.
    pub site: &'a Site,
    /// Liftlock's home.
    pub home: &'a crate::state::home::Home,
    /// Where scratch servers and sandboxes may stand.
    pub scratch: PathBuf,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Progress out, and the wish to stop in.
    pub reporter: &'a dyn Reporter,
    /// The pen of this worker.
    pub journal: &'a Mutex<Journal>,
    /// What earlier steps found or made, by key.
    pub(crate) answers: Mutex<BTreeMap<String, Value>>,
    /// What lives only as long as this process.
    pub(crate) live: Mutex<Live>,
    /// The leases that other hosts see.
    pub(crate) servers: Mutex<Vec<Box<dyn ServerLease>>>,
}

/// What lives only as long as this process, and is made anew by the next one.
#[derive(Default)]
pub struct Live {
    /// The maintenance page, while the application is away.
    pub(crate) pages: Pages,
    /// What proving the backup restored, for the rehearsal; thrown away with this process.
    pub(crate) restored: Vec<(String, Box<dyn Sandbox>)>,
}

impl Live {
    /// The restored copy of a store, once.
    pub(crate) fn take_restored(&mut self, store: &str) -> Option<Box<dyn Sandbox>> {
        let at = self.restored.iter().position(|it| it.0 == store)?;
        Some(self.restored.swap_remove(at).1)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("pages", &self.pages).finish_non_exhaustive()
    }
}

impl World<'_> {
    /// The journal, for records beside those of the step itself.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lives only as long as this process.
    pub fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier step answered, if it has run.
    pub fn answer(&self, key: &StepKey) -> Option<Value> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&key.to_string()).cloned()
    }

    /// Keeps what a step answered, for those after it.
    pub fn remember(&self, key: &StepKey, answer: Value) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_string(), answer);
    }

    /// What checking found out.
    ///
    /// # Errors
    /// `state_corrupt`, or a bug where checking has not run.
    pub fn checked(&self) -> Result<Checked> {
        let answer = self.answer(&crate::steps::key("check")).ok_or_else(|| {
            crate::error::Error::bug("not_checked", "A step ran before the installation was checked.")
        })?;
        parse(&answer)
    }

    /// The version at the start, for sentences.
    pub fn from_version(&self) -> String {
        self.checked().map_or_else(|_| "the old version".to_owned(), |it| it.from)
    }

    /// Passes the crash point in the middle of a step's effect.
    pub fn halfway(&self, direction: &str, key: &StepKey) {
        crash::point(direction, &key.to_string(), Moment::MidEffect);
    }

    /// Sees to it that visitors see the maintenance page before a step that works behind it.
    ///
    /// A page that cannot be raised is said once and stops nothing: visitors then see an error meanwhile.
    ///
    /// # Errors
    /// None today; the page is never a reason to keep users out for longer.
    pub fn between(&self, step: &dyn Step) -> Result<()> {
        if step.is_behind_the_page() {
            self.raise_page();
        } else if step.phase() == State::Applying {
            // What an earlier worker has stopped.
            self.raise_page_of_stopped();
        }
        Ok(())
    }

    /// Whether every lease on a server is still ours.
    ///
    /// # Errors
    /// `server_lease_lost`: this worker must stop; whoever goes on takes the lease anew and looks first.
    pub fn still_held(&self) -> Result<()> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter_mut().try_for_each(|it| it.still_held()).map_err(|error| {
            if error.kind == Kind::LeaseLost { Error { class: "server_lease_lost".into(), ..error } } else { error }
        })
    }

    /// Why going back by itself would lose something, if it would: users may have been let in.
    pub fn why_not_back(&self) -> Option<String> {
        crate::steps::let_in::why_not_back(self)
    }

    /// Starts what was stopped to find that out: what users have entered is in the new version's data.
    pub fn let_users_in_again(&self) {
        self.lower_page();
        for component in self.site.driver.components() {
            if let Err(error) = self.site.start(&component, crate::drivers::Gate::Public, self.reporter) {
                self.reporter.say(&format!("{component} could not be started again: {error}"));
            }
        }
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("id", &self.id).finish_non_exhaustive()
    }
}
