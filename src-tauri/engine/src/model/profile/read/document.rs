//! The text as a tree whose every node knows where it stands and what it is called.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    ops::Range,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::super::{Mistake, Warning, path::is_direction_mark};

/// The text, its tree, and what was found in it so far.
pub(super) struct Document<'d> {
    root: &'d Spanned<DeTable<'d>>,
    text: &'d str,
    line_starts: Vec<usize>,
    /// Lines that are no TOML. What the rest of such a text seems to say about them is not to be believed.
    unreadable_lines: RefCell<BTreeSet<usize>>,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Warning>>,
}

/// A value somewhere in the text.
#[derive(Clone)]
pub(super) struct Node<'d> {
    document: &'d Document<'d>,
    value: &'d DeValue<'d>,
    span: Range<usize>,
    path: String,
}

/// A table whose keys are being asked for.
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    entries: &'d DeTable<'d>,
    span: Range<usize>,
    path: String,
    asked: RefCell<Vec<&'static str>>,
    /// Set where any key is legal.
    is_free: Cell<bool>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str, root: &'d Spanned<DeTable<'d>>) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            root,
            text,
            line_starts,
            unreadable_lines: RefCell::default(),
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }
    pub(super) fn root(&'d self) -> Table<'d> {
        Table::new(self, self.root.get_ref(), 0..0, String::new())
    }
    /// What was found, in the order of the text.
    pub(super) fn findings(self) -> (Vec<Mistake>, Vec<Warning>) {
        let (mut mistakes, mut warnings) = (self.mistakes.into_inner(), self.warnings.into_inner());
        mistakes
            .sort_unstable_by(|a, b| (a.line, a.column, &a.key, &a.reason).cmp(&(b.line, b.column, &b.key, &b.reason)));
        mistakes.dedup();
        warnings.sort_unstable_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        (mistakes, warnings)
    }
    /// A part of the text is no TOML.
    pub(super) fn unreadable(&self, fault: &toml::de::Error) {
        let span = fault.span().unwrap_or(0..0);
        let (line, _) = self.line_and_column(span.start);
        self.unreadable_lines.borrow_mut().insert(line);
        let said = fault.message().trim().replace('\n', ", ").replace('`', "");
        self.report(span, String::new(), format!("this is not TOML: {said}"), remedy_of(&said).to_owned());
    }
    /// Whether a part of the text could not be read, so that nothing can be said about what is missing.
    pub(super) fn has_gaps(&self) -> bool {
        !self.unreadable_lines.borrow().is_empty()
    }
    /// A mistake about a key, or about the innermost table around it that is there.
    pub(super) fn mistake(&self, path: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        self.report(self.place(path), path.to_owned(), reason.into(), remedy.into());
    }
    /// A warning about a key, or about the innermost table around it that is there.
    pub(super) fn warning(&self, path: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        let (line, column) = self.line_and_column(self.place(path).start);
        let (reason, remedy) = (reason.into(), remedy.into());
        self.warnings.borrow_mut().push(Warning { line, column, key: path.to_owned(), reason, remedy });
    }
    fn report(&self, span: Range<usize>, key: String, reason: String, remedy: String) {
        let (line, column) = self.line_and_column(span.start);
        if key.is_empty() || !self.unreadable_lines.borrow().contains(&line) {
            self.mistakes.borrow_mut().push(Mistake { line, column, key, reason, remedy });
        }
    }
    /// Line and column of a byte, both counted from 1.
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        (line, self.text.get(start..at).map_or(1, |it| it.chars().count() + 1))
    }
    /// Whether a key such as `stores[1].path` is there.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.walk(path).1
    }
    /// Where a key such as `stores[1].path` stands, or the innermost table around it that is there.
    fn place(&self, path: &str) -> Range<usize> {
        self.walk(path).0
    }
    fn walk(&self, path: &str) -> (Range<usize>, bool) {
        let mut span = 0..0;
        let mut entries = Some(self.root.get_ref());
        let mut value: Option<&DeValue<'_>> = None;
        for piece in path.split(['.', '[']).filter(|it| !it.is_empty()) {
            let next = match piece.strip_suffix(']').and_then(|it| it.parse::<usize>().ok()) {
                Some(index) => value.and_then(DeValue::as_array).and_then(|it| it.get(index)),
                None => entries.and_then(|it| it.get(piece)),
            };
            let Some(next) = next else { return (span, false) };
            span = next.span();
            value = Some(next.get_ref());
            entries = next.get_ref().as_table();
        }
        (span, true)
    }
}

impl<'d> Node<'d> {
    /// What it is called in a sentence.
    pub(super) fn name(&self) -> String {
        named(&self.path)
    }
    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }
    pub(super) fn mistake(&self, reason: impl Into<String>, remedy: impl Into<String>) {
        self.document.report(self.span.clone(), self.path.clone(), reason.into(), remedy.into());
    }
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }
    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }
    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|it| it.is_empty())
    }
    /// Text, if it is text.
    pub(super) fn quiet_text(&self) -> Option<String> {
        self.value.as_str().map(str::to_owned)
    }
    /// Text in quotes, as it is, or a mistake.
    pub(super) fn raw_text(&self) -> Option<&'d str> {
        self.value.as_str().or_else(|| self.wrong_type("text in quotes"))
    }
    /// Text in quotes that says something and hides nothing.
    pub(super) fn text(&self) -> Option<&'d str> {
        let text = self.raw_text()?;
        if text.trim().is_empty() {
            self.mistake(format!("{} is empty", self.name()), "write what is meant, or leave the key out");
            return None;
        }
        if text.chars().any(|it| it.is_control() || is_direction_mark(it)) {
            self.mistake(format!("{} holds invisible characters", self.name()), "type it anew, without copying it");
            return None;
        }
        Some(text)
    }
    pub(super) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }
    /// A whole number within bounds.
    pub(super) fn number(&self, bounds: Range<i64>) -> Option<i64> {
        let Some(digits) = self.value.as_integer() else { return self.wrong_type("a whole number") };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|it| bounds.contains(it));
        if number.is_none() {
            let reason = format!("{} is out of bounds", self.name());
            self.mistake(reason, format!("write a number from {} to {}", bounds.start, bounds.end - 1));
        }
        number
    }
    /// A whole number as text, if it is one.
    pub(super) fn digits(&self) -> Option<String> {
        let digits = self.value.as_integer()?;
        i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|it| it.to_string())
    }
    /// Text, a whole number or a truth value, as JSON writes it.
    pub(super) fn scalar(&self) -> Option<String> {
        let written = self.digits().or_else(|| self.value.as_bool().map(|it| it.to_string()));
        written.or_else(|| self.text().map(str::to_owned))
    }
    pub(super) fn table(&self) -> Option<Table<'d>> {
        let Some(entries) = self.value.as_table() else { return self.wrong_type("a table") };
        Some(Table::new(self.document, entries, self.span.clone(), self.path.clone()))
    }
    /// The members of a list; none of something else, which is a mistake.
    pub(super) fn members(&self) -> Vec<Node<'d>> {
        if !self.value.is_array() {
            let _: Option<()> = self.wrong_type("a list in square brackets");
        }
        self.quiet_members()
    }
    /// The members of a list; none of something else.
    pub(super) fn quiet_members(&self) -> Vec<Node<'d>> {
        let member = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| Node {
            document: self.document,
            value: value.get_ref(),
            span: value.span(),
            path: format!("{}[{index}]", self.path),
        };
        self.value.as_array().into_iter().flatten().enumerate().map(member).collect()
    }
    /// What each member of a list is read as; those with mistakes are left out.
    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Vec<T> {
        self.members().iter().filter_map(read).collect()
    }
    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.mistake(format!("{} must be {wanted} and is {found}", self.name()), format!("write {wanted}"));
        None
    }
}

impl<'d> Table<'d> {
    fn new(document: &'d Document<'d>, entries: &'d DeTable<'d>, span: Range<usize>, path: String) -> Self {
        Self { document, entries, span, path, asked: RefCell::default(), is_free: Cell::new(false) }
    }
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
    pub(super) fn mistake(&self, reason: impl Into<String>, remedy: impl Into<String>) {
        self.document.report(self.span.clone(), self.path.clone(), reason.into(), remedy.into());
    }
    /// The node of a key, if it is there.
    pub(super) fn node(&self, key: &'static str) -> Option<Node<'d>> {
        self.asked.borrow_mut().push(key);
        let (name, value) = self.entries.get_key_value(key)?;
        // The place of a value in quotes is its own; the place of a table is its header.
        let span = if value.get_ref().is_table() && value.span().is_empty() { name.span() } else { value.span() };
        Some(Node { document: self.document, value: value.get_ref(), span, path: join(&self.path, key) })
    }
    /// A key that may be left out.
    pub(super) fn optional<T>(&self, key: &'static str, read: impl Fn(&Node<'d>) -> Option<T>) -> Option<T> {
        read(&self.node(key)?)
    }
    /// A key that must be there. `example` is what its line could look like.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        read: impl Fn(&Node<'d>) -> Option<T>,
    ) -> Option<T> {
        if let Some(node) = self.node(key) {
            return read(&node);
        }
        if !self.document.has_gaps() {
            let reason = format!("“{key}” is missing in {}", named(&self.path));
            self.document.report(self.span.clone(), join(&self.path, key), reason, format!("add {example}"));
        }
        None
    }
    /// A list that may be left out.
    pub(super) fn list<T>(&self, key: &'static str, read: impl Fn(&Node<'d>) -> Option<T>) -> Vec<T> {
        self.node(key).map(|it| it.list(read)).unwrap_or_default()
    }
    /// Every key with its node, for tables whose keys are free.
    pub(super) fn entries(&self) -> Vec<(Node<'d>, &'d str)> {
        self.is_free.set(true);
        let entry = |(key, value): (&'d Spanned<_>, &'d Spanned<DeValue<'d>>)| {
            let key: &'d std::borrow::Cow<'d, str> = key.get_ref();
            let path = join(&self.path, &key.escape_debug().to_string());
            (Node { document: self.document, value: value.get_ref(), span: value.span(), path }, key.as_ref())
        };
        self.entries.iter().map(entry).collect()
    }
    /// Refuses the keys that nobody asked for.
    pub(super) fn finish(&self) {
        if self.is_free.get() {
            return;
        }
        let asked = self.asked.borrow();
        for key in self.entries.keys().filter(|it| !asked.contains(&it.get_ref().as_ref())) {
            let name = key.get_ref().escape_debug().to_string();
            let reason = format!("unknown key “{name}” in {}", named(&self.path));
            let remedy = match nearest(&name, asked.iter().copied()) {
                Some(near) if self.has(near) => format!("take it out; “{near}” is there already"),
                Some(near) => format!("did you mean “{near}”?"),
                None => format!("take it out; known here: {}", listed(&asked)),
            };
            self.document.report(key.span(), join(&self.path, &name), reason, remedy);
        }
    }
}

/// The word nearest to what was written, if one is near enough to have been meant.
pub(super) fn nearest<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let written = written.to_lowercase();
    words
        .map(|word| (strsim::damerau_levenshtein(&written, word), word))
        .filter(|(distance, word)| *distance <= (word.len().max(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `a, b, c`
pub(super) fn listed(words: &[&str]) -> String {
    words.join(", ")
}

/// Text from the profile in a sentence: visible, not long, and without what may be a password in an address.
pub(super) fn quoted(text: &str) -> String {
    if let Some((scheme, (_, host))) = text.split_once("://").and_then(|(it, rest)| Some((it, rest.rsplit_once('@')?)))
    {
        return quoted(&format!("{scheme}: … {host}"));
    }
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("“{}”", short.escape_debug())
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What a key or table is called in a sentence: `[releases]`, `the 2nd [[stores]]`, `“gate.port”`.
fn named(path: &str) -> String {
    const SECTIONS: [&str; 8] =
        ["application", "releases", "recognise", "driver", "version", "gate", "migrations", "limits"];
    if path.is_empty() {
        return "the profile".to_owned();
    }
    if SECTIONS.contains(&path) {
        return format!("[{path}]");
    }
    let nested = path.split_once('[').and_then(|(table, rest)| {
        let (index, rest) = rest.split_once(']')?;
        Some((table, index.parse::<usize>().ok()? + 1, rest))
    });
    match nested {
        Some((table, number, rest)) if !table.contains('.') => match rest.strip_prefix('.') {
            None => format!("[[{table}]] number {number}"),
            Some(key) => format!("“{key}” of [[{table}]] number {number}"),
        },
        _ => format!("“{path}”"),
    }
}

fn remedy_of(said: &str) -> &'static str {
    if said.contains("duplicate") {
        "keep one of the two"
    } else if said.contains("quot") || said.contains("string") {
        "write text in quotes, closed on the same line"
    } else {
        "write one “key = value” a line, text in quotes, and tables as [name]"
    }
}
