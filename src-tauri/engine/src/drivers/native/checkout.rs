//! An installation that is a checkout of git: run as it lies there until the first update, and never changed.
//!
//! Releases lie in a folder of ours inside it. Settings and data stay where they are in the checkout, also for the
//! application, which looks for them in its own folder: there every release has a link to them. Going back to the version
//! that everything began with turns the link to the checkout itself.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Native, symlink};
use crate::drivers::checkout::Checkout;
use crate::drivers::command::{owner_to_become, reader};
use crate::drivers::{Driver, OURS, our_folder};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::{InsidePath, Profile};
use crate::ports::Reporter;
use crate::process::Listener;

/// What of a checkout belongs to its owner and not to a release, each with whether it is a folder.
pub(super) fn shared(profile: &Profile) -> Vec<(InsidePath, bool)> {
    let settings = profile.settings.iter().map(|it| (it.file.clone(), false));
    let data = profile.stores.iter().filter_map(|it| Some((it.path()?.inside()?, !it.is_database())));
    settings.chain(data).collect()
}

impl Native {
    fn checkout(&self) -> Option<Checkout<'_>> {
        self.layout.checkout.then(|| Checkout::of(&self.dir, self.runner.as_ref())).flatten()
    }

    /// The version of the checkout, as its tags say it; none where it is none.
    pub(super) fn version_of_checkout(&self) -> Result<Option<String>> {
        self.checkout().map_or(Ok(None), |it| it.version(&self.tags))
    }

    /// Whether what runs is the checkout itself: nobody has put a release in its place yet, or it was gone back to.
    pub(super) fn runs_from_checkout(&self) -> Result<bool> {
        if !self.layout.checkout {
            return Ok(false);
        }
        let Some(target) = self.target()? else { return Ok(true) };
        let leads_to = durable::parent(&self.link())?.join(target).canonicalize();
        Ok(leads_to.is_ok_and(|it| self.dir.canonicalize().is_ok_and(|dir| it == dir)))
    }

    fn checkout_in_use(&self) -> Result<Option<Checkout<'_>>> {
        Ok(if self.runs_from_checkout()? { self.checkout() } else { None })
    }

    /// Files of the checkout that were changed by hand, where it is what runs. What a release has a link to comes along.
    pub(super) fn changes_in_checkout(&self) -> Result<Vec<PathBuf>> {
        let mut changes = self.checkout_in_use()?.map_or(Ok(Vec::new()), |it| it.changes())?;
        changes.retain(|it| !self.shared.iter().any(|(path, _)| it.starts_with(path.as_str())));
        Ok(changes)
    }

    /// Keeps what was changed by hand in the checkout that is left behind.
    pub(super) fn keep_changes(&self, reporter: &dyn Reporter) -> Result<()> {
        let Some(checkout) = self.checkout_in_use()? else { return Ok(()) };
        let Some(version) = checkout.version(&self.tags)?.filter(|_| checkout.changes().is_ok_and(|it| !it.is_empty()))
        else {
            return Ok(());
        };
        let file = self.dir.join(OURS).join(format!("changes-{version}.patch"));
        checkout.keep(&file)?;
        reporter.say(&format!("What was changed by hand is kept in {}.", file.display()));
        Ok(())
    }

    /// Makes our folder, unseen by git, and those for data that the application would make itself when it is first needed.
    pub(super) fn adopt_checkout(&self) -> Result<()> {
        if !self.layout.checkout {
            return Ok(());
        }
        self.owned(&our_folder(&self.dir)?)?;
        for (path, _) in self.shared.iter().filter(|(_, is_folder)| *is_folder) {
            let folder = path.under(&self.dir);
            let missing: Vec<_> = folder.ancestors().take_while(|it| !it.exists()).map(Path::to_owned).collect();
            fs::create_dir_all(&folder).map_err(|cause| Error::io("create", &folder, &cause))?;
            missing.iter().try_for_each(|it| self.owned(it))?;
        }
        Ok(())
    }

    /// Lets the folder of a release find settings and data where they are.
    pub(super) fn link_to_checkout(&self, folder: &Path) -> Result<()> {
        let depth = folder.strip_prefix(&self.dir).unwrap_or(folder).components().count();
        for (path, _) in &self.shared {
            if !path.under(&self.dir).exists() {
                continue;
            }
            let link = path.under(folder);
            match fs::symlink_metadata(&link) {
                Ok(meta) if meta.is_dir() => fs::remove_dir_all(&link),
                Ok(_) => fs::remove_file(&link),
                Err(_) => Ok(()),
            }
            .map_err(|cause| Error::io("remove", &link, &cause))?;
            let above = durable::parent(&link)?;
            fs::create_dir_all(above).map_err(|cause| Error::io("create", above, &cause))?;
            // Relative, so that the installation can be moved.
            let up = depth + path.as_str().matches('/').count();
            let target: PathBuf = std::iter::repeat_n(Path::new(".."), up).chain([Path::new(path.as_str())]).collect();
            symlink(&target, &link).map_err(|cause| Error::io("create", &link, &cause))?;
        }
        self.owned(folder)
    }

    /// Gives what we made, with all that is in it, to the owner of the checkout, where we are root and somebody else is.
    fn owned(&self, path: &Path) -> Result<()> {
        owner_to_become(&self.dir)?.map_or(Ok(()), |owner| give(path, owner))
    }

    /// What stands in the way of an update, and what a person should know who has run the checkout until now.
    pub(super) fn obstacles_of_checkout(&self, target: Option<&str>) -> Vec<Finding> {
        if !self.layout.checkout {
            return Vec::new();
        }
        let mut found = self.bound_otherwise();
        found.extend(self.runs_elsewhere());
        match (self.version_of_checkout(), self.runs_from_checkout()) {
            (Ok(None), Ok(true)) => found.push(Finding::stop(
                &Error::refused(
                    "checkout_without_version",
                    format!("Nothing says which version is checked out in {}.", self.dir.display()),
                )
                .remedy("Check out the tag of the version that runs (git checkout v1.2.3), then try again."),
            )),
            (Ok(Some(current)), Ok(true)) => found.extend(target.map(|it| self.stays(&current, it))),
            // Whoever needs it tells why it is not known.
            _ => {}
        }
        found
    }

    fn stays(&self, current: &str, target: &str) -> Finding {
        let (dir, link) = (self.dir.display(), self.link());
        Finding::new(
            Severity::Note,
            "checkout_stays",
            format!(
                "Your checkout in {dir} stays as it is, at {current}: {target} is run from a copy of its source in {OURS}, with \
                 your settings and your files."
            ),
            format!(
                "From then on start the application from {} and no more from the checkout: that is still {current}.",
                link.display()
            ),
        )
    }

    /// One that was started by hand out of another folder than that of the release in place: the old checkout, by habit.
    fn runs_elsewhere(&self) -> Option<Finding> {
        let (version, release) = self.release_in_place().ok()?;
        let ours = self.dir.join(OURS);
        let is_elsewhere = |it: &Listener| !it.works_in(&release) || (release == self.dir && it.works_in(&ours));
        let mut by_hand = Driver::components(self).into_iter().flat_map(|it| self.processes.by_hand(&it));
        by_hand.any(|it| is_elsewhere(&it)).then(|| {
            let message = format!(
                "{version} is in place, and what runs was started out of another folder of {}.",
                self.dir.display()
            );
            let remedy = format!("Stop it, and start the application in {}.", release.display());
            Finding::stop(&Error::refused("runs_elsewhere", message).remedy(remedy))
        })
    }

    /// One that was started by hand on other addresses than ours would be gone for some people, or there for too many.
    fn bound_otherwise(&self) -> Vec<Finding> {
        let bind = self.gate.as_ref().and_then(|it| it.bind.as_ref());
        let bind = bind.and_then(|it| it.lookup(&reader(&self.dir)).ok()?.parse::<std::net::IpAddr>().ok());
        let for_others = bind.is_some_and(|it| it.is_unspecified());
        let by_hand = Driver::components(self).into_iter().flat_map(|it| self.processes.by_hand(&it));
        let differs = by_hand.filter(|it| it.is_for_others != for_others).take(1);
        differs
            .map(|it| {
                let (is, would) = match it.is_for_others {
                    true => ("for other computers too", "for this computer alone"),
                    false => ("for this computer alone", "for other computers too"),
                };
                let message = format!("The application answers {is}, and the profile would start it {would}.");
                Finding::stop(&Error::refused("bound_otherwise", message).remedy(
                    "Correct the address in “bind” of [gate] and in the command that starts it, in a profile of your own.",
                ))
            })
            .collect()
    }
}

#[cfg(unix)]
fn give(path: &Path, owner: (u32, u32)) -> Result<()> {
    let failed = |cause| Error::io("give to its owner", path, &cause);
    std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1)).map_err(failed)?;
    if !fs::symlink_metadata(path).map_err(failed)?.is_dir() {
        return Ok(());
    }
    durable::entries(path)?.iter().try_for_each(|it| give(it, owner))
}

#[cfg(not(unix))]
fn give(_path: &Path, _owner: (u32, u32)) -> Result<()> {
    Ok(())
}
