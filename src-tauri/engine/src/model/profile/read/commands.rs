//! Templates and commands: lists of words, no shell, no secret in them.

use std::collections::BTreeMap;

use super::{
    super::{
        CommandLine, Placeholder, Template,
        env_file::is_variable,
        template::{self, Piece},
    },
    addresses::secret_in_address,
    document::{Node, nearest, quoted},
    values::{Read, file, is_variable_or_mistake, name},
};

/// Text with placeholders of which some are allowed.
pub(super) fn template(node: &Node<'_>, allowed: &[Placeholder]) -> Read<Template> {
    let text = node.text()?;
    let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let known = match names.as_slice() {
        [] => "none is known here".to_owned(),
        names => format!("known here: {}", names.join(", ")),
    };
    let mut good = !secret_in_address(node, text);
    for piece in template::pieces(text) {
        let (reason, remedy) = match piece {
            Piece::Text(_) => continue,
            Piece::Stray(brace) => (
                format!("“{brace}” stands alone in {}", quoted(text)),
                format!("close the placeholder, or write “{brace}{brace}” for the brace itself"),
            ),
            Piece::Hole(word) => match word.parse::<Placeholder>() {
                Ok(it) if allowed.contains(&it) => continue,
                Ok(Placeholder::Password) => (
                    format!("{{password}} is not allowed in {}", node.name()),
                    "hand passwords over in an environment variable, by “point_at” of the store".to_owned(),
                ),
                Ok(it) => (format!("{it} means nothing in {}", node.name()), known.clone()),
                Err(()) => {
                    let near = nearest(word, allowed.iter().map(|it| it.word()));
                    let remedy = near.map_or_else(|| known.clone(), |near| format!("did you mean “{{{near}}}”?"));
                    (format!("unknown placeholder {} in {}", quoted(&format!("{{{word}}}")), node.name()), remedy)
                }
            },
        };
        node.mistake(reason, remedy);
        good = false;
    }
    good.then(|| Template::checked(text))
}

/// What is known of the release whose command it is.
pub(super) const OF_A_RELEASE: &[Placeholder] = &[Placeholder::Release, Placeholder::Dir, Placeholder::Version];

/// Program and arguments, one string each.
pub(super) fn command(node: &Node<'_>, allowed: &[Placeholder]) -> Read<Vec<Template>> {
    if let Some(text) = node.is_text().then(|| node.raw_text()).flatten() {
        let words: Vec<String> = text.split_whitespace().map(|it| format!("{it:?}")).collect();
        let reason = format!("{} is one text, and there is no shell to take it apart", node.name());
        // What may hold a secret is not repeated.
        let is_secret =
            text.split_whitespace().any(|it| is_option_for_secret(it.split('=').next().unwrap_or_default()));
        let example =
            if is_secret || text.contains("://") { "\"program\", \"argument\"".to_owned() } else { words.join(", ") };
        node.mistake(reason, format!("write program and arguments as a list: [{example}]"));
        return None;
    }
    let members = node.members();
    let Some(program) = members.first() else {
        node.mistake(
            format!("{} names no program", node.name()),
            "write program and arguments: [\"bin/shop\", \"serve\"]",
        );
        return None;
    };
    let mut good = is_program(program);
    let mut names_secret = false;
    for member in &members {
        let Some(text) = member.raw_text() else { continue };
        good &= is_argument(member, text, names_secret);
        names_secret = is_option_for_secret(text);
    }
    let words: Vec<Option<Template>> = members
        .iter()
        // An argument may be empty, and then it has no placeholders either.
        .map(|it| if it.raw_text() == Some("") { Some(Template::checked("")) } else { template(it, allowed) })
        .collect();
    words.into_iter().collect::<Option<Vec<_>>>().filter(|_| good)
}

fn is_program(node: &Node<'_>) -> bool {
    let Some(text) = node.text() else { return false };
    let fault = if text.starts_with('-') {
        "begins like an option"
    } else if text.split(['/', '\\']).any(|it| it == "..") {
        "climbs out with “..”"
    } else if text.contains(char::is_whitespace) && !text.contains('/') {
        "holds a space"
    } else {
        return true;
    };
    let remedy = "write the program alone: a path inside the installation folder, an absolute path, or a bare name";
    node.mistake(format!("the program {} {fault}", quoted(text)), remedy);
    false
}

fn is_argument(node: &Node<'_>, text: &str, after_option_for_secret: bool) -> bool {
    const SHELL: [&str; 9] = ["&&", "||", "|", ">", ">>", "<", ";", "&", "2>&1"];
    let by_option =
        text.split_once('=').is_some_and(|(option, value)| is_option_for_secret(option) && !value.is_empty());
    if by_option || (after_option_for_secret && !text.starts_with('-')) {
        node.mistake(
            "a secret stands in the arguments of a command",
            "put it into the environment file of the command",
        );
        return false;
    }
    if SHELL.contains(&text) {
        let reason = format!("{} means something to a shell, and there is none", quoted(text));
        node.mistake(reason, "name one program and its arguments; put more into a script of the application");
        return false;
    }
    if text
        .strip_prefix('$')
        .is_some_and(|it| it.starts_with(|c: char| c == '{' || c == '(' || is_variable(&c.to_string())))
    {
        let reason = format!("{} stays as it is: there is no shell to replace it", quoted(text));
        node.mistake(reason, "let the program read its environment, or use a placeholder such as {dir}");
        return false;
    }
    true
}

fn is_option_for_secret(text: &str) -> bool {
    let Some(option) = text.strip_prefix('-') else { return false };
    let option = option.trim_start_matches('-').to_lowercase().replace('_', "-");
    ["password", "passwd", "token", "secret", "api-key", "apikey"].iter().any(|it| option.ends_with(it))
}

/// A command with its environment.
pub(super) fn command_line(node: &Node<'_>, allowed: &[Placeholder]) -> Read<CommandLine> {
    let table = node.table()?;
    let service = table.optional("service", name);
    let words = if table.has("service") && !table.has("command") {
        Some(Vec::new())
    } else {
        table.required("command", "command = [\"program\", \"argument\"]", |it| command(it, allowed))
    };
    let env_file = table.optional("env_file", file);
    table.finish();
    Some(CommandLine { command: words?, service, env_file })
}

/// The variables that point a command elsewhere; together they must hold all that is needed for it.
pub(super) fn variables(
    node: &Node<'_>,
    allowed: &[Placeholder],
    needed: &[Placeholder],
) -> Read<BTreeMap<String, Template>> {
    let mut variables = BTreeMap::new();
    let mut held = String::new();
    for (value, key) in node.table()?.entries() {
        held.push_str(&value.quiet_text().unwrap_or_default());
        let named = is_variable_or_mistake(&value, key);
        if let Some(template) = template(&value, allowed).filter(|_| named) {
            variables.insert(key.to_owned(), template);
        }
    }
    let missing: Vec<String> = needed.iter().map(ToString::to_string).filter(|it| !held.contains(it)).collect();
    if !missing.is_empty() {
        let reason = format!("{} leaves out {}: a trial would touch the live data", node.name(), missing.join(", "));
        node.mistake(reason, "name the variables that set all of them");
    }
    Some(variables)
}

/// Text in which `{port}` is the port of the gate, which must then be there.
pub(super) fn behind_the_gate<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Read<T>) -> Read<T> {
    if node.quiet_text().is_some_and(|it| it.contains("{port}")) && !node.document().holds("gate") {
        let reason = "{port} is the port of the gate, and there is no [gate]";
        node.mistake(reason, "add [gate], or write the port itself");
    }
    read(node)
}
