//! Files encrypted with age, so that a backup can lie where others can read.
//!
//! All of the cryptography is age's: what is written here is opened by `age -d` on any computer. A key is read anew from
//! where it is kept each time a process needs it; it is never in arguments, in the state or in a log, because every key is
//! a [`Secret`]. What cannot be opened with the key at hand is not damaged: it says so by a class of its own.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, scrypt, x25519};

use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::secrets::{Secret, keychain};

/// What the name of an encrypted file ends with.
pub const SUFFIX: &str = ".age";

/// More than any passphrase or file of keys has.
const MOST: u64 = 64 << 10;
const PIECE: usize = 1 << 18;
/// As age itself takes at most: what asks for more was written to keep us busy.
const MOST_WORK: u8 = 22;

/// To whom something is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Whoever knows the passphrase.
    Passphrase,
    /// Whoever has the secret key of one of these.
    Recipients(Vec<String>),
}

impl To {
    /// From a setting: nothing, `passphrase`, or recipients (`age1…`) with spaces between them.
    ///
    /// # Errors
    /// `bad_recipient`.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        match text.trim() {
            "" => Ok(None),
            "passphrase" => Ok(Some(Self::Passphrase)),
            list => {
                let all: Vec<_> = list.split_whitespace().map(str::to_owned).collect();
                recipients(&all)?;
                Ok(Some(Self::Recipients(all)))
            }
        }
    }
}

fn recipients(all: &[String]) -> Result<Vec<x25519::Recipient>> {
    let parse = |text: &String| {
        text.parse::<x25519::Recipient>().map_err(|cause| {
            Error::usage("bad_recipient", format!("“{}” is no recipient of age: {cause}.", text.escape_debug()))
                .remedy("`age-keygen` prints one as “Public key”; it begins with age1.")
        })
    };
    all.iter().map(parse).collect()
}

/// Where a passphrase or a secret key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file that only its owner can read.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
    /// Behind an open descriptor of this process.
    Descriptor(u32),
    /// In the system's keychain, under this name.
    Keychain(String),
}

impl KeyPlace {
    /// From `file:/a/path`, `keychain:NAME`, `env:NAME` or `fd:3`; never the key itself.
    ///
    /// # Errors
    /// `bad_key_place`.
    pub fn parse(text: &str) -> Result<Self> {
        let is_word = |name: &str| name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') && !name.is_empty();
        let place = match text.split_once(':') {
            Some(("file", path)) if Path::new(path).is_absolute() => Some(Self::File(path.into())),
            Some(("env", name)) if is_word(name) => Some(Self::Variable(name.to_owned())),
            Some(("keychain", name)) if is_word(name) => Some(Self::Keychain(name.to_owned())),
            Some(("fd", number)) => number.parse().ok().filter(|it| *it > 2).map(Self::Descriptor),
            _ => None,
        };
        // What was given may be the secret itself, so it is not said again.
        place.ok_or_else(|| {
            Error::usage("bad_key_place", "That does not say where the key is kept.").remedy(
                "Write file:/path/to/it, keychain:NAME, env:NAME or fd:NUMBER. The key itself is never given here.",
            )
        })
    }

    /// What is kept there.
    ///
    /// # Errors
    /// `key_unreadable`, `key_not_private`, and what a keychain answers.
    pub fn read(&self) -> Result<Secret> {
        let text = match self {
            Self::File(path) => {
                let file = durable::open_ours(path).map_err(|cause| unreadable(self).because(&cause))?;
                expect_private(path, &file)?;
                read(file).map_err(|cause| unreadable(self).because(&cause))?
            }
            Self::Variable(name) => std::env::var(name).map_err(|_| unreadable(self))?,
            Self::Descriptor(number) => {
                let file = File::open(format!("/dev/fd/{number}")).map_err(|cause| unreadable(self).because(&cause))?;
                read(file).map_err(|cause| unreadable(self).because(&cause))?
            }
            Self::Keychain(name) => return keychain::find(name),
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err(unreadable(self).detail("there is nothing in it")) } else { Ok(Secret::new(text)) }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
            Self::Keychain(name) => write!(f, "keychain:{name}"),
        }
    }
}

fn read(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

fn expect_private(path: &Path, file: &File) -> Result<()> {
    #[cfg(unix)]
    {
        let mode = file.metadata().map_err(|cause| Error::io("look at", path, &cause))?;
        if std::os::unix::fs::MetadataExt::mode(&mode) & 0o077 != 0 {
            return Err(Error::refused("key_not_private", format!("Others can read the key in {}.", path.display()))
                .remedy(format!("Take that right from them: chmod 600 {}", path.display())));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

fn unreadable(place: &KeyPlace) -> Error {
    Error::refused("key_unreadable", format!("The key cannot be read from {place}."))
        .remedy("Put it there again, or say where it is now: `liftlock backup encrypt --key-from PLACE`.")
}

/// How backups are encrypted, and where what opens them is.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    to: Option<To>,
    place: Option<KeyPlace>,
    /// Where what opens older files was kept before, the newest first.
    older: Vec<KeyPlace>,
    /// A descriptor can be read once only.
    read: Arc<OnceLock<Secret>>,
}

impl Keys {
    /// Encrypts to `to`, and opens with what is at `place`.
    pub fn new(to: Option<To>, place: Option<KeyPlace>) -> Self {
        Self { to, place, older: Vec::new(), read: Arc::default() }
    }

    /// The same, and opens what the key at hand does not with what is at one of these. A place that cannot be read is passed over.
    #[must_use]
    pub fn and_older(self, older: Vec<KeyPlace>) -> Self {
        Self { older, ..self }
    }

    /// Whether what is new is encrypted.
    pub fn seals(&self) -> bool {
        self.to.is_some()
    }

    fn key(&self) -> Result<Secret> {
        let place = self.place.as_ref().ok_or_else(|| {
            Error::refused("no_key", "It is encrypted, and Liftlock does not know where its key is.")
                .remedy("Say where it is: `liftlock backup encrypt --key-from PLACE`.")
        })?;
        if let Some(key) = self.read.get() {
            return Ok(key.clone());
        }
        let key = place.read()?;
        Ok(self.read.get_or_init(|| key).clone())
    }

    fn encryptor(&self) -> Result<Encryptor> {
        match &self.to {
            None => Err(Error::bug("not_sealed", "Something was encrypted that was not to be.")),
            Some(To::Passphrase) => {
                Ok(Encryptor::with_user_passphrase(SecretString::from(self.key()?.expose().to_owned())))
            }
            Some(To::Recipients(all)) => {
                let all = recipients(all)?;
                Encryptor::with_recipients(all.iter().map(|it| it as &dyn Recipient))
                    .map_err(|cause| Error::bug("not_sealed", "age took none of the recipients.").because(&cause))
            }
        }
    }

    /// Whether something can be encrypted now, and opened again as far as that can be told quickly: a passphrase is made
    /// slow to try on purpose, and opens what it closed.
    ///
    /// # Errors
    /// `wrong_key`, `no_key`, `key_unreadable`.
    pub fn are_at_hand(&self) -> Result<()> {
        match &self.to {
            Some(To::Recipients(_)) => self.try_out(),
            Some(To::Passphrase) => self.key().map(drop),
            None => Ok(()),
        }
    }

    /// Proves that what would be encrypted now can be opened with the key at hand.
    ///
    /// # Errors
    /// `wrong_key`, `no_key`, `key_unreadable`.
    pub fn try_out(&self) -> Result<()> {
        let failed = |cause: io::Error| Error::bug("not_sealed", "Nothing could be encrypted.").because(&cause);
        let mut writer = self.encryptor()?.wrap_output(Vec::new()).map_err(failed)?;
        writer.write_all(b"boat").map_err(failed)?;
        let sealed = writer.finish().map_err(failed)?;
        let mut opened = Vec::new();
        reader(&sealed[..], Path::new("a trial"), &self.key()?)?.read_to_end(&mut opened).map_err(failed)?;
        Ok(())
    }

    /// Encrypts the file `from` into the new file `to`; the answer is SHA-256 and size of the latter.
    ///
    /// # Errors
    /// `key_unreadable`, `disk_full`, what the reporter answered; then there is no file `to`.
    pub fn seal(&self, from: &Path, to: &Path, reporter: &dyn Reporter) -> Result<(String, u64)> {
        let failed = |cause: io::Error| Error::io("write", to, &cause);
        let mut source = durable::open_ours(from)?;
        let encryptor = self.encryptor()?;
        durable::write_with(to, |file| {
            let hashing = Hashing::new(BufWriter::with_capacity(PIECE, &mut *file));
            let mut writer = encryptor.wrap_output(hashing).map_err(failed)?;
            pump(&mut source, &mut writer, (from, to), reporter)?;
            let (mut rest, sha256, bytes) = writer.finish().map_err(failed)?.finish();
            rest.flush().map_err(failed)?;
            Ok((sha256, bytes))
        })
    }

    /// Opens the file `from` into the new file `to`.
    ///
    /// # Errors
    /// `wrong_key`, `no_key`, `key_unreadable`, `archive_damaged`, `disk_full`, what the reporter answered; then there is
    /// no file `to`.
    pub fn open(&self, from: &Path, to: &Path, reporter: &dyn Reporter) -> Result<()> {
        let mut reader = self.reader(from)?;
        durable::write_with(to, |file| pump(&mut reader, file, (from, to), reporter))
    }

    /// Whether the key at hand opens the file, of which only the beginning is read.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn fits(&self, path: &Path) -> Result<()> {
        self.reader(path).map(drop)
    }

    /// What is in the file, by the key at hand or by one that was used before.
    fn reader(&self, path: &Path) -> Result<impl Read + use<>> {
        let source = || -> Result<BufReader<File>> { Ok(BufReader::with_capacity(PIECE, durable::open_ours(path)?)) };
        let first = match self.key().and_then(|key| reader(source()?, path, &key)) {
            Err(error) if is_about_the_key(&error) => error,
            answer => return answer,
        };
        for place in &self.older {
            let Ok(key) = place.read() else { continue };
            match reader(source()?, path, &key) {
                Err(error) if is_about_the_key(&error) => {}
                answer => return answer,
            }
        }
        Err(first)
    }
}

/// Whether another key might open what this one did not.
fn is_about_the_key(error: &Error) -> bool {
    ["wrong_key", "no_key", "key_unreadable", "key_not_private"].contains(&error.class.as_ref())
        || error.class.starts_with("keychain_")
}

/// What is in `source`, by this key.
fn reader<R: Read>(source: R, path: &Path, key: &Secret) -> Result<impl Read + use<R>> {
    let opened = Decryptor::new(source).map_err(|cause| not_opened(path, &cause))?;
    let identities: Vec<Box<dyn Identity>> = if opened.is_scrypt() {
        let mut identity = scrypt::Identity::new(SecretString::from(key.expose().to_owned()));
        // How much work is too much is measured otherwise, and a busy machine would take a good file for a damaged one.
        identity.set_max_work_factor(MOST_WORK);
        vec![Box::new(identity)]
    } else {
        let wrong = |cause: String| {
            Error::refused("wrong_key", "What is kept as the key holds no secret key of age.")
                .remedy("It is what `age-keygen` wrote: a line that begins with AGE-SECRET-KEY-.")
                .detail(cause)
        };
        let file = IdentityFile::from_buffer(key.expose().as_bytes()).map_err(|_| wrong("no identity".to_owned()))?;
        let all = file.into_identities().map_err(|cause| wrong(cause.to_string()))?;
        all.into_iter().map(|it| it as Box<dyn Identity>).collect()
    };
    opened.decrypt(identities.iter().map(AsRef::as_ref)).map_err(|cause| not_opened(path, &cause))
}

fn not_opened(path: &Path, cause: &DecryptError) -> Error {
    let error = match cause {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            Error::refused("wrong_key", format!("The key at hand does not open {}.", path.display())).remedy(
                "It was encrypted with another one. Say where that is: `liftlock backup encrypt --key-from PLACE`.",
            )
        }
        DecryptError::Io(cause) => return Error::io("read", path, cause),
        _ => Error::failed("archive_damaged", format!("{} is not what age writes.", path.display()))
            .remedy("Use another backup, and check the disk on which this one lies."),
    };
    error.because(cause)
}

fn pump(
    from: &mut dyn Read,
    to: &mut dyn Write,
    (source, target): (&Path, &Path),
    reporter: &dyn Reporter,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        reporter.check()?;
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            // age tells a piece that was changed, and one that is missing, as data that cannot be.
            Err(cause) if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                return Err(Error::failed(
                    "archive_damaged",
                    format!("{} is damaged or incomplete.", source.display()),
                )
                .remedy("Use another backup, and check the disk on which this one lies.")
                .because(&cause));
            }
            Err(cause) => return Err(Error::io("read", source, &cause)),
        };
        to.write_all(&piece[..read]).map_err(|cause| Error::io("write", target, &cause))?;
        done += read as u64;
        reporter.moved(done, None, Unit::Bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Silent;

    const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    const STRANGER: &str = "AGE-SECRET-KEY-1PPJGKA9670S70SDR3LAWW3Z980P8LGPH8Y6MVXGZQJFRRV0TLQ0QW29W5Z";

    fn kept(dir: &Path, name: &str, text: &str) -> Option<KeyPlace> {
        durable::write(&dir.join(name), text.as_bytes()).unwrap();
        Some(KeyPlace::File(dir.join(name)))
    }

    fn class<T: fmt::Debug>(answer: Result<T>) -> String {
        answer.unwrap_err().class.into_owned()
    }

    #[test]
    fn what_is_sealed_is_opened_with_its_key_and_with_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let bytes: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        durable::write(&dir.join("plain"), &bytes).unwrap();
        let passphrase = Keys::new(Some(To::Passphrase), kept(dir, "passphrase", "correct horse\n"));
        let identity = Keys::new(To::parse(PUBLIC).unwrap(), kept(dir, "identity", &format!("# mine\n{SECRET}\n")));
        let other = Keys::new(Some(To::Passphrase), kept(dir, "other", "battery staple"));
        let stranger = Keys::new(To::parse(PUBLIC).unwrap(), kept(dir, "stranger", STRANGER));
        for (keys, wrong) in [(&passphrase, &other), (&identity, &stranger)] {
            let sealed = dir.join("sealed.age");
            let (sha256, size) = keys.seal(&dir.join("plain"), &sealed, &Silent).unwrap();
            let on_disk = std::fs::read(&sealed).unwrap();
            assert_eq!((crate::digest::sha256(&on_disk), on_disk.len() as u64), (sha256, size));
            assert!(on_disk.starts_with(b"age-encryption.org/v1\n"));
            keys.open(&sealed, &dir.join("opened"), &Silent).unwrap();
            assert_eq!(std::fs::read(dir.join("opened")).unwrap(), bytes);
            std::fs::remove_file(dir.join("opened")).unwrap();
            assert_eq!(class(wrong.open(&sealed, &dir.join("opened"), &Silent)), "wrong_key");
            assert_eq!(class(Keys::default().open(&sealed, &dir.join("opened"), &Silent)), "no_key");
            // Cut short, or changed in the middle: found, and nothing is left. A passphrase is slow, and no different here.
            for damage in [on_disk[..on_disk.len() - 70_000].to_vec(), {
                let mut flipped = on_disk.clone();
                flipped[on_disk.len() / 2] ^= 1;
                flipped
            }]
            .into_iter()
            .filter(|_| keys.to != Some(To::Passphrase))
            {
                durable::write(&sealed, &damage).unwrap();
                assert_eq!(class(keys.open(&sealed, &dir.join("opened"), &Silent)), "archive_damaged");
            }
            assert!(!dir.join("opened").exists());
        }
    }

    #[test]
    fn what_was_sealed_with_an_older_key_is_opened_with_that_as_long_as_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        durable::write(&dir.join("plain"), b"boat").unwrap();
        let before = Keys::new(Some(To::Passphrase), kept(dir, "before", "ten lock gates in the evening"));
        let sealed = dir.join("sealed.age");
        before.seal(&dir.join("plain"), &sealed, &Silent).unwrap();
        let older = || vec![KeyPlace::File(dir.join("gone")), KeyPlace::File(dir.join("before"))];
        let now = Keys::new(Some(To::Passphrase), kept(dir, "now", "a lantern on the quay")).and_older(older());
        now.open(&sealed, &dir.join("opened"), &Silent).unwrap();
        assert_eq!(std::fs::read(dir.join("opened")).unwrap(), b"boat");
        now.fits(&sealed).unwrap();
        // The one at hand need not be there for that.
        let lost = Keys::new(None, Some(KeyPlace::File(dir.join("lost")))).and_older(older());
        lost.fits(&sealed).unwrap();
        // What is new is closed with the new one, and an older one does not stand in for it.
        now.seal(&dir.join("plain"), &dir.join("new.age"), &Silent).unwrap();
        assert_eq!(class(before.fits(&dir.join("new.age"))), "wrong_key");
        std::fs::remove_file(dir.join("before")).unwrap();
        assert_eq!(class(now.fits(&sealed)), "wrong_key");
        assert_eq!(class(lost.fits(&sealed)), "key_unreadable");
    }

    #[test]
    fn a_key_that_does_not_fit_its_recipients_is_found_before_anything_relies_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(To::parse(PUBLIC).unwrap(), kept(dir.path(), "passphrase", "correct horse"));
        assert_eq!(class(keys.try_out()), "wrong_key");
        assert_eq!(class(To::parse("age1nobody")), "bad_recipient");
        assert_eq!(To::parse(" ").unwrap(), None);
    }

    #[test]
    fn where_a_key_is_kept_is_said_without_the_key() {
        for bad in ["hunter2", "file:relative", "env:", "env:A B", "fd:0", "fd:x", ""] {
            let error = KeyPlace::parse(bad).unwrap_err();
            assert_eq!(error.class, "bad_key_place");
            assert!(bad.len() < 6 || !format!("{error:?}").contains(bad), "{error:?}");
        }
        for good in ["file:/root/key", "env:BACKUP_KEY", "fd:3"] {
            assert_eq!(KeyPlace::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(class(KeyPlace::Variable("LIFTLOCK_NO_SUCH_VARIABLE".into()).read()), "key_unreadable");
        let dir = tempfile::tempdir().unwrap();
        let place = kept(dir.path(), "key", "\n").unwrap();
        assert_eq!(class(place.read()), "key_unreadable");
        #[cfg(unix)]
        {
            let path = dir.path().join("key");
            std::fs::write(&path, "secret").unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
            assert_eq!(class(place.read()), "key_not_private");
        }
    }
}
