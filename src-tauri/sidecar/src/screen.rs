//! Where answers go: lines, tables and documents on standard output, errors and asides on standard error.
//!
//! Everything passes through [`safe`] or [`safe_json`] on its way out, so that no command can forget it; styles
//! are added afterwards. A reader that goes away (a closed pipe) is no error, a disk that is full is one.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};

use liftlock_engine::Error;
use liftlock_engine::secrets::masked_error;
use liftlock_engine::view::ErrorView;
use serde::Serialize;

use crate::text::{safe, safe_json};

/// How a piece of a line looks, where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Muted,
    Good,
    Warn,
    Danger,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Muted => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Danger => "31",
        }
    }

    fn on(self, text: &str, coloured: bool) -> String {
        let text = safe(text);
        if coloured && self != Self::Plain && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", self.code())
        } else {
            text
        }
    }
}

/// A line in pieces.
#[derive(Debug, Default)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    pub(crate) fn new(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }
    pub(crate) fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }
    fn render(&self, coloured: bool) -> String {
        self.0.iter().map(|(style, text)| style.on(text, coloured)).collect()
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new(Style::Plain, text)
    }
}
impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new(Style::Plain, text)
    }
}

/// Both standard streams, and what is wanted on them.
#[derive(Debug)]
pub(crate) struct Screen {
    /// One JSON document, or one a line.
    pub(crate) json: bool,
    /// Only answers and errors.
    pub(crate) quiet: bool,
    /// Causes too.
    pub(crate) verbose: bool,
    /// Answer questions with yes, save those about losing data.
    pub(crate) yes: bool,
    coloured: bool,
    coloured_errors: bool,
    broken: RefCell<Option<io::Error>>,
}

impl Screen {
    /// Looks for the options that hold everywhere before anything is parsed, because a wrong command line is
    /// answered in the same manner as a right one.
    pub(crate) fn from_raw(args: &[OsString]) -> Self {
        let given: Vec<_> = args.iter().skip(1).take_while(|it| *it != "--").collect();
        let has = |long: &str| given.iter().any(|it| *it == long);
        let short = |letter: char| {
            given
                .iter()
                .filter_map(|it| it.to_str())
                .any(|it| it.strip_prefix('-').is_some_and(|it| !it.starts_with('-') && it.contains(letter)))
        };
        let wanted = !has("--no-color")
            && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
            && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
        Self {
            json: has("--json"),
            quiet: has("--quiet") || short('q'),
            verbose: has("--verbose") || short('v'),
            yes: has("--yes") || short('y'),
            coloured: wanted && io::stdout().is_terminal(),
            coloured_errors: wanted && io::stderr().is_terminal(),
            broken: RefCell::new(None),
        }
    }

    /// Whether clap may colour its help.
    pub(crate) fn clap_colour(&self) -> clap::ColorChoice {
        if self.coloured { clap::ColorChoice::Auto } else { clap::ColorChoice::Never }
    }

    /// Whether a progress bar can be drawn: it goes to standard error.
    pub(crate) fn can_draw(&self) -> bool {
        !self.json
            && !self.quiet
            && io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|it| it != "dumb")
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// A line of an answer.
    pub(crate) fn line(&self, line: impl Into<Line>) {
        self.put(&format!("{}\n", line.into().render(self.coloured)));
    }

    /// Text of several lines, each indented.
    pub(crate) fn paragraph(&self, indent: &str, text: &str) {
        for line in text.lines() {
            self.line(format!("{indent}{}", line.replace('\t', "    ")));
        }
    }

    /// A line that only a person wants: not with `--json`, not with `--quiet`.
    pub(crate) fn note(&self, line: impl Into<Line>) {
        if !self.json && !self.quiet {
            self.line(line);
        }
    }

    /// A line beside the answer, on standard error.
    pub(crate) fn aside(&self, line: impl Into<Line>) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", line.into().render(self.coloured_errors));
        }
    }

    /// One document on one line.
    pub(crate) fn document(&self, document: &impl Serialize) {
        match serde_json::to_string(document) {
            Ok(json) => self.put(&format!("{}\n", safe_json(&json))),
            Err(cause) => {
                self.error(&Error::bug("answer_json", "The answer could not be written as JSON.").because(&cause));
            }
        }
    }

    /// Made by this program alone and for another one: completions, the manual.
    pub(crate) fn raw(&self, text: &str) {
        self.put(text);
    }

    /// Columns without lines. Every cell is made safe.
    pub(crate) fn table(&self, head: &[&str], rows: Vec<Vec<String>>) {
        for line in table_of(head, &rows) {
            self.put(&format!("{line}\n"));
        }
    }

    /// The same beside the answer, for a question.
    pub(crate) fn table_aside(&self, head: &[&str], rows: &[Vec<String>]) {
        for line in table_of(head, rows) {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// An error in its one shape; answers with its exit code.
    pub(crate) fn error(&self, error: &Error) -> u8 {
        if self.json {
            self.document(&serde_json::json!({ "error": ErrorView::from(error) }));
            return error.exit_code();
        }
        let error = &masked_error(error);
        let colour = self.coloured_errors;
        let mut text = format!("{}{}\n", Style::Danger.on("error: ", colour), lines_of(&error.message, "       "));
        if !error.remedy.is_empty() {
            text += &format!("  → {}\n", lines_of(&error.remedy, "    "));
        }
        if self.verbose {
            for detail in &error.details {
                text += &format!("{}\n", Style::Muted.on(&format!("  | {detail}"), colour));
            }
        } else if !error.details.is_empty() {
            text += &format!("{}\n", Style::Muted.on("    (--verbose shows the cause)", colour));
        }
        let _ = io::stderr().write_all(text.as_bytes());
        error.exit_code()
    }

    /// Asks for a word on the terminal, where a wrong key must not be enough.
    pub(crate) fn confirm_by(&self, question: &str, word: &str) -> bool {
        let _ = write!(io::stderr(), "{}\nType {word} to go on: ", Style::Bold.on(question, self.coloured_errors));
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        answer.trim() == word
    }

    /// Asks for something that only a person knows; nothing is no answer.
    pub(crate) fn type_in(&self, question: &str) -> Option<String> {
        let _ = write!(io::stderr(), "{}\n> ", Style::Bold.on(question, self.coloured_errors));
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        Some(answer.trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// Asks on the terminal; anything but yes is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let _ = write!(io::stderr(), "{} [y/N] ", Style::Bold.on(question, self.coloured_errors));
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }

    /// Ends the output: an answer that could not be written was not given.
    pub(crate) fn close(&self, code: u8) -> u8 {
        match self.broken.borrow_mut().take() {
            Some(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
                let _ = writeln!(
                    io::stderr(),
                    "error: The answer could not be written: {cause}.\n  → Free some space, or send it elsewhere."
                );
                code.max(1)
            }
            _ => code,
        }
    }

    fn put(&self, text: &str) {
        if self.is_closed() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(cause) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            *self.broken.borrow_mut() = Some(cause);
        }
    }
}

fn lines_of(text: &str, indent: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join(&format!("\n{indent}"))
}
fn table_of(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(head.iter().map(|it| it.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|it| safe(it)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|it| it.trim_end().to_owned()).collect()
}
