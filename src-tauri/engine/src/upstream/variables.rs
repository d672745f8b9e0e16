//! The variables that a text of Compose refers to, in the five forms there are.

use std::collections::BTreeMap;

/// What a reference says of the case that nothing is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Without {
    /// Nothing: it is empty then, and Compose warns.
    Nothing,
    /// This is taken instead.
    Default(String),
    /// Compose refuses, with these words.
    Refused(String),
}

/// A reference to a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// What holds where it is not set.
    pub without: Without,
    /// Whether an empty value counts as none.
    empty_is_none: bool,
}

impl Reference {
    /// Whether one of the values is its own.
    pub fn is_set(&self, values: &BTreeMap<String, String>) -> bool {
        self.value(values).is_some()
    }

    fn value<'v>(&self, values: &'v BTreeMap<String, String>) -> Option<&'v String> {
        values.get(&self.name).filter(|it| !(self.empty_is_none && it.is_empty()))
    }
}

/// A text in pieces.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Reference),
}

/// Every reference in a text, in its order; those inside of a default too.
pub fn references(text: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    for piece in pieces(text) {
        if let Piece::Variable(reference) = piece {
            let inner = match &reference.without {
                Without::Default(text) => references(text),
                _ => Vec::new(),
            };
            found.push(reference);
            found.extend(inner);
        }
    }
    found
}

/// The text with every variable filled in.
pub fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    let value = |reference: Reference| match (reference.value(values).cloned(), reference.without) {
        (Some(value), _) => value,
        (None, Without::Default(text)) => filled(&text, values),
        (None, _) => String::new(),
    };
    pieces(text)
        .into_iter()
        .map(|it| match it {
            Piece::Text(text) => text,
            Piece::Variable(reference) => value(reference),
        })
        .collect()
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(braced) {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Variable(read(inside)));
            rest = after;
        } else {
            let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
            if end == 0 {
                plain.push('$');
                continue;
            }
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Variable(read(&rest[..end])));
            rest = &rest[end..];
        }
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    pieces
}

/// What stands before the brace that closes, and what after; a default may hold braces itself.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    for (at, sign) in text.char_indices() {
        match sign {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn read(inside: &str) -> Reference {
    let end = inside.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let (empty_is_none, rest) = rest.strip_prefix(':').map_or((false, rest), |it| (true, it));
    let without = if let Some(text) = rest.strip_prefix('-') {
        Without::Default(text.to_owned())
    } else if let Some(text) = rest.strip_prefix('?') {
        Without::Refused(text.to_owned())
    } else {
        Without::Nothing
    };
    Reference { name: name.to_owned(), without, empty_is_none }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_form_is_read() {
        let found = references("$A ${B} ${C:-c} ${D-${E:?why}} $$F ${G:?say so} ${H-} 5$ ${open");
        let told: Vec<_> = found.iter().map(|it| (it.name.as_str(), &it.without)).collect();
        let default = |it: &str| Without::Default(it.to_owned());
        let refused = |it: &str| Without::Refused(it.to_owned());
        assert_eq!(
            told,
            [
                ("A", &Without::Nothing),
                ("B", &Without::Nothing),
                ("C", &default("c")),
                ("D", &default("${E:?why}")),
                ("E", &refused("why")),
                ("G", &refused("say so")),
                ("H", &default("")),
            ]
        );
    }

    #[test]
    fn what_is_set_wins_over_the_default_and_an_empty_value_only_with_a_colon_is_none() {
        let set = values(&[("A", "1"), ("B", "")]);
        assert_eq!(filled("${A}-${B:-b}-${B-b}-${C:-${A}}-$$A-$A.", &set), "1-b--1-$A-1.");
    }
}
