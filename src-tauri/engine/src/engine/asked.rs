//! What a person says of settings that a new version asks for.

use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::profile::{Profile, is_variable};
use crate::secrets::Secret;
use crate::site::asked::{Asked, declared, is_secret};
use crate::state::given::Given;
use crate::state::lease::Lease;
use crate::view::AskedSettingView;

/// No setting is longer.
const LONGEST: usize = 4096;
/// How many letters and digits one has that is made up, unless the profile says so.
const MADE_UP: u16 = 48;

/// What is said of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// This, where others may have read it: in the arguments of a command. Never a secret.
    Openly(String),
    /// This.
    Kept(Secret),
    /// Liftlock makes one up.
    Generate,
    /// What was said before does not count any more.
    Nothing,
}

impl Engine {
    /// Remembers what a person says of a setting that a new version asks for. It is written into its file by the update
    /// itself, and kept for the next attempt where this one is brought back.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`; `busy` while something is done to it; `bad_setting_name`, `bad_setting_value`,
    /// `setting_refused`, `cannot_generate`, `secret_in_arguments`.
    pub fn say_of_setting(&self, name: &InstallationName, key: &str, say: &Say) -> Result<()> {
        self.must_be_unlocked()?;
        let installation = self.db()?.installation(name)?;
        let profile = self.profile_of(&installation)?;
        Lease::must_be_free(&self.home, name)?;
        if !is_variable(key) {
            return Err(Error::usage("bad_setting_name", format!("“{}” is no setting.", key.escape_debug()))
                .remedy("Write the name as `liftlock plan` says it."));
        }
        let value = match say {
            Say::Openly(_) if is_secret(&profile, key) => return Err(in_arguments(key)),
            Say::Openly(value) => Some(Secret::new(value)),
            Say::Kept(value) => Some(value.clone()),
            Say::Generate => Some(made_up(&profile, key)?),
            Say::Nothing => None,
        };
        if let Some(value) = &value {
            expect_usable(&profile, key, value.expose())?;
        }
        Given::at(self.home.given(name)).say(&[(key, value.as_ref())])
    }
}

fn in_arguments(key: &str) -> Error {
    Error::usage(
        "secret_in_arguments",
        format!("{key} is a secret, and everybody here can read what a command is given."),
    )
    .remedy(format!("Keep it in a file that only you can read, and say --set-from {key}=file:/path/to/it."))
}

fn expect_usable(profile: &Profile, key: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() || value.len() > LONGEST || value.chars().any(char::is_control) {
        return Err(Error::usage(
            "bad_setting_value",
            format!("What was said of {key} cannot stand in a settings file."),
        )
        .remedy("Give one line of text, without invisible characters."));
    }
    let refused = profile.settings.iter().flat_map(|it| &it.refused);
    match refused.into_iter().find(|it| it.key == key && it.value == value) {
        Some(it) => Err(Error::refused("setting_refused", format!("{key} must not be “{value}”.")).remedy(&it.remedy)),
        None => Ok(()),
    }
}

/// Letters and digits: nothing that a shell, an address or a settings file would read in another way.
fn made_up(profile: &Profile, key: &str) -> Result<Secret> {
    let Some(declared) = declared(profile, key).filter(|it| it.generate) else {
        return Err(Error::refused("cannot_generate", format!("Nothing says that {key} may be made up."))
            .remedy("Give a value. What may be made up is said by the profile: generate = true."));
    };
    let length = usize::from(declared.length.unwrap_or(MADE_UP));
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // Version 4: all is random but six bits, which stand in bytes 6 and 8.
        let bytes = Uuid::new_v4().into_bytes();
        let random =
            bytes.iter().enumerate().filter(|(at, _)| *at != 6 && *at != 8).map(|(_, it)| usize::from(it >> 2));
        let signs = random.filter_map(|it| SIGNS.get(it)).map(|it| char::from(*it));
        text.extend(signs.take(length - text.len()));
    }
    Ok(Secret::new(text))
}

const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl AskedSettingView {
    pub(super) fn of(it: &Asked) -> Self {
        let shown = it.value.as_ref().filter(|_| !it.is_secret);
        Self {
            file: it.file.clone(),
            key: it.key.clone(),
            name: it.name.clone(),
            why: it.why.clone(),
            default: it.default.clone(),
            can_generate: it.can_generate,
            secret: it.is_secret,
            answered: it.value.is_some(),
            value: shown.map(|it| it.expose().to_owned()),
        }
    }
}
