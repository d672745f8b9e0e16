//! `lock`, and the passphrase where a command needs it.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use liftlock_engine::view::LockView;
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::LockCommand;
use crate::screen::{Line, Screen, Style};

/// Names a file that holds the passphrase, for those who cannot be asked.
const FILE: &str = "LIFTLOCK_PASSPHRASE_FILE";

pub(crate) fn run(engine: &Engine, screen: &Screen, command: LockCommand) -> Result<u8> {
    match command {
        LockCommand::Show => show(screen, &engine.lock_state()?),
        LockCommand::Set { new_passphrase_file } => set(engine, screen, new_passphrase_file.as_deref())?,
        LockCommand::Remove => {
            let passphrase = passphrase(screen.can_ask())?.ok_or_else(nobody_to_ask)?;
            show(screen, &engine.remove_lock(&passphrase)?);
        }
    }
    Ok(0)
}

fn set(engine: &Engine, screen: &Screen, file: Option<&Path>) -> Result<()> {
    let new = match file {
        Some(file) => first_line(file)?,
        None if screen.can_ask() => twice("New administrator passphrase: ")?,
        None => return Err(nobody_to_ask()),
    };
    let code = engine.set_lock(&new)?;
    if screen.json {
        screen.document(&json!({ "recovery_code": *code }));
        return Ok(());
    }
    screen.note("The lock is set. Changing anything asks for the passphrase from now on, in the window and here.");
    screen.line(Line::new(Style::Plain, "Recovery code: ").and(Style::Bold, code.as_str()));
    screen.note(
        "It opens the lock where the passphrase is forgotten, and is not shown again. Keep it away from this computer.",
    );
    Ok(())
}

fn show(screen: &Screen, lock: &LockView) {
    if screen.json {
        return screen.document(lock);
    }
    screen.line(match lock {
        LockView { set: false, .. } => "No administrator lock is set. `liftlock lock set` sets one.".to_owned(),
        LockView { next_try_at: Some(at), .. } => {
            format!("The administrator lock is set. Next try from {}.", at.format("%H:%M:%S UTC"))
        }
        _ => "The administrator lock is set.".to_owned(),
    });
}

/// The passphrase out of the file that the environment names, else asked for on the terminal.
pub(crate) fn passphrase(can_ask: bool) -> Result<Option<Zeroizing<String>>> {
    if let Some(file) = std::env::var_os(FILE).filter(|it| !it.is_empty()) {
        return first_line(&PathBuf::from(file)).map(Some);
    }
    if can_ask { ask("Administrator passphrase: ").map(Some) } else { Ok(None) }
}

/// Whether somebody sits at the terminal, also for a command whose answer is a document.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A new passphrase, typed alike twice.
pub(crate) fn twice(question: &str) -> Result<Zeroizing<String>> {
    let one = ask(question)?;
    if *ask("The same again: ")? == *one {
        return Ok(one);
    }
    Err(Error::usage("passphrases_differ", "The two passphrases are not the same.")
        .remedy("Nothing was set. Try again."))
}

/// What is typed on the terminal, unseen.
pub(crate) fn ask(question: &str) -> Result<Zeroizing<String>> {
    let failed = |cause: std::io::Error| {
        Error::failed("no_terminal", "The passphrase could not be read from the terminal.")
            .remedy(format!("Name a file that holds it in {FILE}."))
            .because(&cause)
    };
    let mut screen = std::io::stderr();
    write!(screen, "{question}").and_then(|()| screen.flush()).map_err(failed)?;
    rpassword::read_password().map(Zeroizing::new).map_err(failed)
}

/// Others must not be able to read it: they could then open the lock.
fn first_line(file: &Path) -> Result<Zeroizing<String>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).map_err(|cause| Error::io("read", file, &cause))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::refused("passphrase_file_open", format!("Others may read {}.", file.display()))
                .remedy(format!("Allow it to you alone: `chmod 600 {}`.", file.display())));
        }
    }
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|cause| Error::io("read", file, &cause))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn nobody_to_ask() -> Error {
    Error::usage("no_passphrase", "There is nobody to ask for the passphrase.")
        .remedy(format!("Name a file that holds the present one in {FILE}, and a new one with --new-passphrase-file."))
}
