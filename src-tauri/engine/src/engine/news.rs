//! What is in it for a person: everything between what runs and what is offered, on one page.

use semver::Version;

use super::discovery::{cache_of, listing_of};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::changes::Changes;
use crate::model::ids::InstallationName;
use crate::view::{HoleView, NewsOfRelease, NewsView};

/// More notes than this are read by nobody; what is left out is said.
const MOST_BYTES: usize = 2 << 20;

impl Engine {
    /// The notes of every release after the one that runs, up to `to` or to the one that is offered, newest first,
    /// with the published holes in what runs. From what is known; nobody is asked.
    ///
    /// # Errors
    /// `unknown_installation`; `nothing_newer` where nothing is known between the two; `bad_version`.
    pub fn news(&self, name: &InstallationName, to: Option<&str>) -> Result<NewsView> {
        let told = self.notice(name)?;
        let db = self.db()?;
        let installation = db.installation(name)?;
        let profile = self.profile_of(&installation)?;
        let nothing = || {
            Error::refused("nothing_newer", format!("Nothing newer is known for {name}."))
                .remedy(format!("`liftlock check --releases {name}` looks for new releases."))
        };
        let to = match to {
            Some(text) => super::notices::version(text)?,
            None => told.offer.as_ref().and_then(|it| it.to.parse::<Version>().ok()).ok_or_else(nothing)?,
        };
        let from: Option<Version> = installation.version.as_ref().and_then(|it| it.parse().ok());
        let known = db.repository(&super::discovery::key_of(&profile))?;
        let cache = cache_of(db);
        let listing = listing_of(&profile, &installation, &known, &cache)?.ok_or_else(nothing)?;
        let between = listing
            .releases
            .into_iter()
            .filter(|it| it.version <= to && from.as_ref().is_none_or(|from| it.version > *from));
        let (mut releases, mut bytes, mut cut) = (Vec::new(), 0, false);
        for release in between {
            bytes += release.notes.len();
            if bytes > MOST_BYTES {
                cut = true;
                break;
            }
            releases.push(NewsOfRelease {
                version: release.version.to_string(),
                published_at: release.published_at,
                changes: Changes::of(&release.notes),
            });
        }
        if releases.is_empty() && !cut {
            return Err(nothing());
        }
        let closed = |it: &&HoleView| {
            it.fixed_in.as_ref().is_none_or(|fixed| fixed.parse::<Version>().is_ok_and(|fixed| fixed <= to))
        };
        Ok(NewsView {
            installation: name.clone(),
            from: installation.version,
            to: to.to_string(),
            closes: told.holes.iter().filter(closed).cloned().collect(),
            releases,
            cut,
        })
    }
}
