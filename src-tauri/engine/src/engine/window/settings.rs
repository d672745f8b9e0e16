//! What holds for one application only, and the look before going back.

use super::named;
use super::progress::read_receipt;
use crate::engine::Engine;
use crate::engine::found::with_release_rule;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::maintenance::Reach;
use crate::model::profile::Profile;
use crate::model::release::{Channel, Trust};
use crate::state::Db;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::window::{ApplicationSettingsView, ChannelRule, GoBackView, TrustRule};

/// How many updates are looked through for what vouched for the last release.
const LOOKED_THROUGH: u32 = 20;

impl Engine {
    /// What holds for one application only.
    ///
    /// # Errors
    /// `unknown_installation`; those of the state itself.
    pub fn application_settings(&self, name: &str) -> Result<ApplicationSettingsView> {
        let name = named(name)?;
        let db = self.db()?;
        let profile = self.profile_of(&db.installation(&name)?)?;
        let releases = &profile.releases;
        Ok(ApplicationSettingsView {
            installation: name.to_string(),
            trust: TrustRule { needed: releases.require, seen: last_trust(&db, &name)?, key: releases.key.clone() },
            channel: ChannelRule {
                value: word(&releases.channel)?,
                options: vec![word(&Channel::Stable)?, word(&Channel::Prerelease)?],
            },
            unattended: self.unattended()?.into_iter().find(|it| it.installation == name),
            title: profile.application.name,
        })
    }

    /// Chooses what holds for one application: `trust` and `channel` in the words of a profile, `unattended` as days and
    /// hours, or never without a value.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `unknown_setting`, `bad_window`, `busy`; `cannot_vouch` where nothing is known by
    /// which a release could be checked so.
    pub fn set_application_setting(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<ApplicationSettingsView> {
        self.must_be_unlocked()?;
        let installation = named(name)?;
        match (key, value) {
            ("trust", value) => {
                self.change_releases(&installation, "require", value.unwrap_or(&word(&Trust::default())?))?;
            }
            ("channel", value) => {
                self.change_releases(&installation, "channel", value.unwrap_or(&word(&Channel::default())?))?;
            }
            ("unattended", Some(during)) => {
                // How far it may go was chosen apart from when.
                let known = self.unattended()?.into_iter().find(|it| it.installation == installation);
                self.allow_unattended(&installation, during, known.map_or(Reach::default(), |it| it.reach))?;
            }
            ("unattended", None) => self.forbid_unattended(&installation)?,
            (key, _) => {
                return Err(Error::usage("unknown_setting", format!("“{}” is no setting.", key.escape_debug()))
                    .remedy("Choose one of those that are shown."));
            }
        }
        self.application_settings(name)
    }

    /// Changes the installation's own copy of its profile, while nobody works on it.
    fn change_releases(&self, name: &InstallationName, key: &str, value: &str) -> Result<()> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let changed = with_release_rule(&installation.profile, key, value)?;
        if let Err(mistakes) = Profile::parse(&changed) {
            return Err(Error::refused("cannot_vouch", "Nothing is known by which a release could be checked so.")
                .remedy("Choose something else, or ask the makers of the application for their key.")
                .detail(format!("{mistakes:?}")));
        }
        let holder = this_process(self.clock.as_ref(), "settings")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        db.keep_profile(name, &changed)
    }

    /// What would be lost by going back to the version before, as far as it can be counted. Changes nothing.
    ///
    /// # Errors
    /// `unknown_installation`, `nothing_to_roll_back`.
    pub fn go_back_preview(&self, name: &str) -> Result<GoBackView> {
        let name = named(name)?;
        let (upgrade, since) = self.since_update(&name)?;
        let title = self.profile_of(&self.db()?.installation(&name)?)?.application.name;
        Ok(GoBackView {
            installation: name.to_string(),
            title,
            from: upgrade.from.unwrap_or_default(),
            to: upgrade.to,
            since,
        })
    }
}

/// What vouched for the release of the last update that came so far.
fn last_trust(db: &Db, name: &InstallationName) -> Result<Option<Trust>> {
    let receipts = db.upgrades(Some(name), LOOKED_THROUGH)?.into_iter().filter_map(|it| it.receipt);
    Ok(receipts.into_iter().find_map(|it| read_receipt(&it)?.trust))
}

/// As a profile says it.
fn word<T: serde::Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Error::bug("profile_word", "A choice could not be written.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::home::Home;
    use crate::state::installations::Installation;

    #[test]
    fn what_holds_for_one_application_is_kept_in_its_own_profile() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::at(Home::at(dir.path().join("home")));
        let profile = crate::profiles::text_of("corner-shop").unwrap();
        for name in ["one", "other"] {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let added_at = chrono::Utc::now();
            let (name, application) = (name.parse().unwrap(), "corner-shop".to_owned());
            let installation =
                Installation { name, folder, profile: profile.clone(), application, version: None, added_at };
            engine.db().unwrap().add_installation(&installation).unwrap();
        }
        let before = engine.application_settings("other").unwrap();
        assert_eq!((before.channel.value.as_str(), &before.unattended), ("stable", &None));

        let set = |key, value| engine.set_application_setting("one", key, value);
        assert_eq!(set("channel", Some("prerelease")).unwrap().channel.value, "prerelease");
        assert_eq!(set("trust", Some("none")).unwrap().trust.needed, Trust::None);
        let during = set("unattended", Some("every day 02:00-05:00")).unwrap().unattended.unwrap().during;
        assert_eq!(during, "every day 02:00-05:00");
        assert_eq!(set("unattended", None).unwrap().unattended, None);
        assert_eq!(engine.application_settings("other").unwrap(), before, "the other one is as it was");

        let class = |key, value| set(key, value).unwrap_err().class;
        assert_eq!(class("channel", Some("nightly")), "cannot_vouch");
        assert_eq!(class("unattended", Some("sometimes")), "bad_window");
        assert_eq!(class("colour", Some("red")), "unknown_setting");
        assert_eq!(engine.application_settings("one").unwrap().channel.value, "prerelease", "nothing was changed");
    }
}
