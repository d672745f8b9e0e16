//! The application's own interface over HTTP, as the installed version has it.

use std::collections::BTreeMap;

use semver::Version;

use super::Site;
use crate::drivers::Gate;
use crate::drivers::command::secret;
use crate::error::Result;
use crate::import::api::{Reached, Waits};
use crate::model::profile::EntityApi;
use crate::probes;

impl Site {
    /// How it is reached, where the installed version has one that an entity comes in through.
    ///
    /// # Errors
    /// Settings that the profile refers to and that are not there.
    pub fn api(&self) -> Result<Option<Reached>> {
        let version = self.installation.version.as_ref().and_then(|it| Version::parse(it).ok());
        let Some(api) = self.profile.api.as_ref().filter(|it| it.is_of(version.as_ref())) else { return Ok(None) };
        if self.through_the_api().is_empty() {
            return Ok(None);
        }
        let request = self.with(Gate::Public, |at| probes::request(&self.profile, &api.question, at))?;
        let folder = &self.installation.folder;
        let header = |(name, value): (&String, _)| Ok((name.clone(), secret(value, folder)?));
        Ok(Some(Reached {
            request,
            headers: api.headers.iter().map(header).collect::<Result<_>>()?,
            idempotency: api.idempotency.clone(),
            error: api.error.clone(),
            within: api.timeout,
            waits: Waits::default(),
        }))
    }

    /// What comes in through it.
    pub fn through_the_api(&self) -> BTreeMap<String, EntityApi> {
        let one = |it: &crate::model::profile::Export| Some((it.entity.clone(), it.api.clone()?));
        self.profile.exports.iter().filter_map(one).collect()
    }
}
