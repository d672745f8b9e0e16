//! A wrong command line, in the same shape as every other error.

use clap::error::ErrorKind;
use liftlock_engine::Error;

use crate::screen::Screen;

/// Answers help, version or a mistake; gives the exit code.
pub(crate) fn answer(error: &clap::Error, screen: &Screen) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !screen.json => {
            let _ = error.print();
            2
        }
        _ => screen.error(&as_error(error)),
    }
}

/// clap's own text comes in blocks: the mistake, tips, the usage. The mistake is the message; the tips and the
/// way to the full help are the remedy.
fn as_error(error: &clap::Error) -> Error {
    let rendered = error.render().to_string();
    let mut blocks = rendered.split("\n\n");
    let one_line = |block: &str| block.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => one_line(blocks.next().unwrap_or_default().trim_start_matches("error: ")),
    };
    let mut remedy: Vec<String> =
        blocks.filter_map(|it| it.trim().strip_prefix("tip: ").map(|tip| sentence(&one_line(tip)))).collect();
    let usage = rendered.lines().find_map(|it| it.trim().strip_prefix("Usage: "));
    // The usage begins with the command that was meant.
    let command = usage
        .map(|it| it.split_whitespace().take_while(|it| it.chars().all(|c| c.is_ascii_lowercase())).collect::<Vec<_>>())
        .filter(|it| !it.is_empty())
        .map_or_else(|| "liftlock".to_owned(), |it| it.join(" "));
    remedy.push(format!("`{command} --help` shows how it is used."));
    Error::usage("usage", sentence(&message)).remedy(remedy.join(" "))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    let text = format!("{first}{}", chars.as_str());
    if text.ends_with(['.', '?', ':']) { text } else { format!("{text}.") }
}
