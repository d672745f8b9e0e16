//! `completions`, `man`.

use clap_complete::Shell;
use liftlock_engine::{Error, Result};

use crate::screen::Screen;

pub(crate) fn completions(screen: &Screen, shell: Shell) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "liftlock", &mut text);
    screen.raw(&String::from_utf8_lossy(&text));
    Ok(0)
}

pub(crate) fn page(screen: &Screen, words: &[String]) -> Result<u8> {
    let mut command = crate::command();
    command.build();
    for word in words {
        command = command.find_subcommand(word).cloned().ok_or_else(|| {
            Error::usage("unknown_command", format!("There is no command “{word}”."))
                .remedy("`liftlock --help` lists the commands.")
        })?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|cause| Error::bug("manual", "The manual page could not be made.").because(&cause))?;
    screen.raw(&String::from_utf8_lossy(&text));
    Ok(0)
}
