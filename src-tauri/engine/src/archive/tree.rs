//! What an archive claims to contain, judged by names alone before anything of it is written.
//!
//! The invariant: a path that was admitted lies inside the root, is new, differs from every other by more
//! than case, and runs through no link.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Limits;

/// Why a name is not admitted, as the end of the sentence "it …".
pub(super) type Why = String;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    Link,
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Spelling and kind of each path, by its case-folded form.
    nodes: HashMap<String, (String, Kind)>,
    /// Symbolic links: case-folded path to target.
    links: BTreeMap<String, Vec<String>>,
    top: BTreeSet<String>,
}

impl Tree {
    /// How many files, folders and links are known, implied folders included.
    pub(super) fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// The folder that holds everything else, if there is one.
    pub(super) fn common_top(&self) -> Option<&str> {
        let (first, more) = (self.top.first()?, self.top.len() > 1);
        let is_folder = matches!(self.nodes.get(&fold(first)), Some((_, Kind::Folder)));
        (is_folder && !more).then_some(first)
    }

    /// Admits `path`; answers the folders that must be created for it, outermost first.
    pub(super) fn admit(&mut self, path: &[String], kind: Kind) -> Result<Vec<String>, Why> {
        let mut fresh = Vec::new();
        let mut spelled = String::new();
        for (index, part) in path.iter().enumerate() {
            if index > 0 {
                spelled.push('/');
            }
            spelled.push_str(part);
            let is_last = index + 1 == path.len();
            let wanted = if is_last { kind } else { Kind::Folder };
            match self.nodes.get(&fold(&spelled)) {
                Some((known, _)) if *known != spelled => {
                    return Err(format!("differs from \"{}\" only in upper and lower case", known.escape_debug()));
                }
                Some((_, Kind::Folder)) if wanted == Kind::Folder => {}
                Some((known, Kind::Link)) if !is_last => {
                    return Err(format!("runs through the link \"{}\"", known.escape_debug()));
                }
                Some(_) => return Err("is there twice".into()),
                None => {
                    self.nodes.insert(fold(&spelled), (spelled.clone(), wanted));
                    if wanted == Kind::Folder {
                        fresh.push(spelled.clone());
                    }
                }
            }
        }
        if let Some(first) = path.first() {
            self.top.insert(first.clone());
        }
        Ok(fresh)
    }

    /// Remembers where the admitted link at `path` points.
    pub(super) fn link(&mut self, path: &[String], target: Vec<String>) {
        self.links.insert(fold(&path.join("/")), target);
    }

    /// Follows every link as the system would, and answers the first that leaves the root or never arrives.
    pub(super) fn stray_link(&self) -> Option<(String, Why)> {
        // Once the common top folder is the root, a link may not climb above it.
        let floor = usize::from(self.common_top().is_some());
        for (path, target) in &self.links {
            let mut at: Vec<String> = path.split('/').map(str::to_owned).collect();
            at.pop();
            let mut ahead: Vec<String> = target.iter().rev().cloned().collect();
            let mut hops = 0;
            while let Some(part) = ahead.pop() {
                if part == ".." {
                    if at.len() <= floor {
                        return Some((path.clone(), "is a link that leaves the folder".into()));
                    }
                    at.pop();
                    continue;
                }
                at.push(fold(&part));
                if let Some(next) = self.links.get(&at.join("/")) {
                    hops += 1;
                    if hops > 32 {
                        return Some((path.clone(), "is a link that leads in a circle".into()));
                    }
                    at.pop();
                    ahead.extend(next.iter().rev().cloned());
                }
            }
        }
        None
    }
}

fn fold(path: &str) -> String {
    path.to_lowercase()
}

/// The parts of a path in an archive; empty for the root itself.
pub(super) fn parts(raw: &[u8], limits: &Limits) -> Result<Vec<String>, Why> {
    let parts = plain_parts(raw, limits)?;
    if parts.iter().any(|part| part == "..") {
        return Err("climbs out of its folder with \"..\"".into());
    }
    Ok(parts)
}

/// The parts of a link's target, where `..` has a meaning.
pub(super) fn target_parts(raw: &[u8], limits: &Limits) -> Result<Vec<String>, Why> {
    let parts = plain_parts(raw, limits).map_err(|why| format!("is a link whose target {why}"))?;
    if parts.is_empty() && raw.is_empty() {
        return Err("is a link to nothing".into());
    }
    Ok(parts)
}

fn plain_parts(raw: &[u8], limits: &Limits) -> Result<Vec<String>, Why> {
    let text = str::from_utf8(raw).map_err(|_| "is not written in UTF-8")?;
    if text.len() > limits.path {
        return Err(format!("is longer than {} bytes", limits.path));
    }
    if text.starts_with('/') {
        return Err("is absolute".into());
    }
    if let Some(odd) = text.chars().find(|it| is_unfit(*it)) {
        return Err(format!("contains the character {}", odd.escape_unicode()));
    }
    let parts: Vec<String> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
    if parts.len() > limits.depth {
        return Err(format!("lies more than {} folders deep", limits.depth));
    }
    if parts.iter().any(|part| part.len() > 255) {
        return Err("has a part longer than 255 bytes".into());
    }
    if cfg!(windows) && parts.iter().any(|part| is_unfit_on_windows(part)) {
        return Err("cannot be a name on Windows".into());
    }
    Ok(parts)
}

/// Characters that end a line, command a terminal, turn the direction of reading, or separate folders elsewhere.
fn is_unfit(it: char) -> bool {
    it.is_control()
        || matches!(it, '\\' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_unfit_on_windows(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|n| n.len() == 1 && n.chars().all(|it| it.is_ascii_digit()))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || numbered("COM")
        || numbered("LPT")
        || part.ends_with(['.', ' '])
        || part.contains(['<', '>', ':', '"', '|', '?', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Vec<String> {
        parts(path.as_bytes(), &Limits::default()).unwrap()
    }

    fn with_links(links: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, target) in links {
            tree.admit(&at(path), Kind::Link).unwrap();
            tree.link(&at(path), target_parts(target.as_bytes(), &Limits::default()).unwrap());
        }
        tree
    }

    #[test]
    fn a_link_that_leaves_only_by_way_of_another_link_is_found() {
        // Read as text, x/y/l/.. is x/y; followed, l is the root, and .. is outside.
        assert!(with_links(&[("x/y/l", "../.."), ("m", "x/y/l/..")]).stray_link().is_some());
        assert!(with_links(&[("x/y/l", ".."), ("m", "x/y/l/..")]).stray_link().is_none());
    }

    #[test]
    fn a_link_that_leads_in_a_circle_is_found() {
        assert!(with_links(&[("a", "b"), ("b", "a")]).stray_link().is_some());
    }

    #[test]
    fn a_link_may_not_climb_above_the_top_folder_that_becomes_the_root() {
        assert!(with_links(&[("top/a", "../other")]).stray_link().is_some());
        assert!(with_links(&[("top/a", "../other"), ("second", "top")]).stray_link().is_none());
    }

    #[test]
    fn names_that_windows_cannot_hold_are_known_everywhere() {
        for name in ["con", "NUL.txt", "com1", "a:b", "dot.", "blank "] {
            assert!(is_unfit_on_windows(name), "{name}");
        }
        for name in ["console", "com10", "a.b", "nul1"] {
            assert!(!is_unfit_on_windows(name), "{name}");
        }
    }
}
