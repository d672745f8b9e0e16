//! How the releases of an application are named, and how far one is trusted.
//!
//! Tags and asset names come from strangers and become parts of addresses, paths and messages: whatever this
//! module lets through holds letters, digits and `. _ + - / @` only, and begins with no dash and no dot.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::model::notice::HoleSeverity;

/// Which releases are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Finished releases only.
    #[default]
    Stable,
    /// Finished releases and those before them (`-rc.1`, `-beta.2`).
    Prerelease,
    /// Every commit of the branch that the profile names.
    Branch,
}

/// As what versions are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// Releases with files.
    #[default]
    Releases,
    /// Bare tags; what is installed is the source as it was at the tag.
    Tags,
}

/// What vouches for a release, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nothing: what was seen when the plan was made is pinned and checked again.
    #[default]
    None,
    /// A checksum beside the asset: it came whole, from whoever can publish there.
    Checksum,
    /// A signature on the tag in git.
    SignedTag,
    /// A signed statement of the build that made the asset.
    Attestation,
    /// A manifest signed with a key that the profile pins.
    SignedManifest,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not signed",
            Self::Checksum => "checksum, not signed",
            Self::SignedTag => "signed tag",
            Self::Attestation => "attested build",
            Self::SignedManifest => "signed manifest",
        })
    }
}

/// How a tag bears the version: `v{version}`, `backend-v{version}`, `{version}`, `v{version}-docker`.
///
/// Several components in one repository are told apart by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagPattern {
    before: String,
    after: String,
}

impl Default for TagPattern {
    fn default() -> Self {
        Self { before: "v".into(), after: String::new() }
    }
}

impl FromStr for TagPattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut halves = text.split("{version}");
        let (Some(before), Some(after), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err(format!("a tag pattern holds {{version}} once, as in v{{version}}; \"{text}\" does not"));
        };
        let pattern = Self { before: before.into(), after: after.into() };
        // What the pattern makes of the plainest version must itself be a fit tag.
        fit_tag(&pattern.tag(&Version::new(1, 0, 0))).map_err(|why| format!("the tag pattern \"{text}\" {why}"))?;
        Ok(pattern)
    }
}

impl TryFrom<String> for TagPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TagPattern> for String {
    fn from(pattern: TagPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{version}}{}", self.before, self.after)
    }
}

impl TagPattern {
    /// The tag of `version`.
    pub fn tag(&self, version: &Version) -> String {
        format!("{}{version}{}", self.before, self.after)
    }

    /// The version that `tag` bears.
    ///
    /// # Errors
    /// Why it bears none, as the end of a sentence that begins with the tag.
    pub fn version(&self, tag: &str) -> Result<Version, String> {
        fit_tag(tag)?;
        let inner = tag
            .strip_prefix(self.before.as_str())
            .and_then(|rest| rest.strip_suffix(self.after.as_str()))
            .ok_or_else(|| format!("is not of the form {self}"))?;
        let version = Version::parse(inner).map_err(|_| no_version(inner))?;
        let leading = version.pre.as_str().split('.').next().unwrap_or_default();
        if !leading.is_empty() && !is_prerelease_word(leading) {
            return Err(format!("ends in \"-{}\", which names no pre-release", version.pre));
        }
        Ok(version)
    }
}

fn no_version(text: &str) -> String {
    let numbers: Vec<&str> = text.split('.').collect();
    let all_numbers = numbers.iter().all(|it| !it.is_empty() && it.chars().all(|c| c.is_ascii_digit()));
    if all_numbers && numbers.len() != 3 {
        return format!("has {} numbers, where a version has three", numbers.len());
    }
    if all_numbers {
        return "has a number that begins with 0, as dates do and versions do not".into();
    }
    "is no version (three numbers such as 1.4.0)".into()
}

/// Whether the first part after the dash is one of the usual names of what comes before a release.
fn is_prerelease_word(part: &str) -> bool {
    let word = part.split(|it: char| it == '-' || it.is_ascii_digit()).next().unwrap_or_default();
    matches!(
        word.to_ascii_lowercase().as_str(),
        "" | "a"
            | "alpha"
            | "b"
            | "beta"
            | "c"
            | "rc"
            | "pre"
            | "preview"
            | "prerelease"
            | "dev"
            | "nightly"
            | "canary"
            | "snapshot"
            | "next"
            | "test"
            | "m"
            | "milestone"
            | "ea"
            | "insider"
            | "unstable"
    )
}

/// Whether `tag` may be used in an address, an argument or a path at all.
///
/// # Errors
/// Why not, as the end of a sentence that begins with the tag.
pub fn fit_tag(tag: &str) -> Result<(), String> {
    fit(tag, |it| matches!(it, '/' | '@'))?;
    if tag.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
        return Err("is not a name that git allows".into());
    }
    Ok(())
}

/// Whether `name` may be the name of a file that is downloaded.
///
/// # Errors
/// Why not, as the end of a sentence that begins with the name.
pub fn fit_asset(name: &str) -> Result<(), String> {
    fit(name, |_| false)
}

fn fit(name: &str, also: fn(char) -> bool) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".into());
    }
    if name.len() > 200 {
        return Err("is longer than 200 characters".into());
    }
    if name.starts_with(['-', '.']) {
        return Err("begins with a dash or a dot".into());
    }
    if name.contains("..") || name.ends_with('.') {
        return Err("holds two dots in a row or ends with one".into());
    }
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '+' | '-') || also(it);
    match name.chars().find(|it| !plain(*it)) {
        Some(odd) => Err(format!("holds the character {}", odd.escape_unicode())),
        None => Ok(()),
    }
}

/// How an asset is named: `corner-shop-{version}.tar.gz`; also knows `{tag}`, and for checksums `{asset}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetPattern(String);

impl FromStr for AssetPattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = Self(text.into());
        let example = pattern.name(&Version::new(1, 0, 0), "v1.0.0", "asset");
        if example.contains(['{', '}']) {
            return Err(format!("the asset pattern \"{text}\" may hold {{version}}, {{tag}} and {{asset}} only"));
        }
        fit_asset(&example).map_err(|why| format!("the asset pattern \"{text}\" {why}"))?;
        Ok(pattern)
    }
}

impl TryFrom<String> for AssetPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AssetPattern> for String {
    fn from(pattern: AssetPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for AssetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AssetPattern {
    /// What a signed manifest is called where nothing else is said.
    pub fn manifest() -> Self {
        Self("manifest.json".to_owned())
    }

    /// What the source of a version is called where nothing else is said.
    pub fn source() -> Self {
        Self("source-{version}.tar.gz".to_owned())
    }

    /// The name for one release. `asset` is the main asset's name, for patterns of what lies beside it.
    pub fn name(&self, version: &Version, tag: &str, asset: &str) -> String {
        self.0.replace("{version}", &version.to_string()).replace("{tag}", tag).replace("{asset}", asset)
    }
}

/// A published security hole of an application, and which versions have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// `GHSA-…`.
    pub id: String,
    /// `CVE-…`, where it has one.
    pub cve: Option<String>,
    /// How bad it is.
    pub severity: HoleSeverity,
    /// What it is, in one line. A stranger's text.
    pub summary: String,
    /// Where it is described.
    pub url: Option<String>,
    /// Which versions have it.
    pub affected: Vec<Affected>,
}

/// Versions that have a hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// As its publisher writes it: `>= 1.0.0, < 1.4.2`.
    pub range: String,
    /// The versions without it: `1.4.2`.
    pub patched: Option<String>,
}

impl Advisory {
    /// Whether `version` has the hole, and then the first version without it, where that is told. A range that
    /// cannot be read touches nobody: who is warned of everything heeds nothing.
    pub fn touches(&self, version: &Version) -> Option<Option<Version>> {
        // A range speaks of finished releases; a pre-release has what its release has.
        let finished = Version::new(version.major, version.minor, version.patch);
        self.affected.iter().find(|it| it.holds(&finished)).map(|it| {
            let patched = it.patched.as_deref().unwrap_or_default();
            let mut told: Vec<Version> = patched
                .split([',', ' ', '|'])
                .map(|it| it.trim().trim_start_matches(['>', '=', '^', '~', 'v']))
                .filter_map(|it| Version::parse(it).ok())
                .filter(|it| *it > finished)
                .collect();
            told.sort_unstable();
            told.into_iter().next()
        })
    }
}

impl Affected {
    fn holds(&self, version: &Version) -> bool {
        self.range.split("||").any(|part| {
            // `= 1.4` means 1.4.0 here and not everything that begins so.
            let parts: Option<Vec<_>> = part.split(',').map(|it| bound(it.trim())).collect();
            parts.is_some_and(|it| !it.is_empty() && it.iter().all(|(sign, limit)| keeps(version, sign, limit)))
        })
    }
}

fn bound(text: &str) -> Option<(String, Version)> {
    let at = text.find(|it: char| it.is_ascii_digit() || it == 'v')?;
    let (sign, number) = text.split_at(at);
    let number = number.trim_start_matches('v').trim();
    let dots = number.split(['-', '+']).next()?.matches('.').count();
    let number = match dots {
        0 => format!("{number}.0.0"),
        1 => format!("{number}.0"),
        _ => number.to_owned(),
    };
    Some((sign.trim().to_owned(), Version::parse(&number).ok()?))
}

fn keeps(version: &Version, sign: &str, limit: &Version) -> bool {
    match sign {
        "<" => version < limit,
        "<=" => version <= limit,
        ">" => version > limit,
        ">=" => version >= limit,
        "" | "=" | "==" => version == limit,
        _ => false,
    }
}

macro_rules! schema_as_string {
    ($($pattern:ty: $name:literal),*) => {$(
        impl JsonSchema for $pattern {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    )*};
}
schema_as_string!(TagPattern: "TagPattern", AssetPattern: "AssetPattern");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reads_back_the_tags_that_it_makes() {
        for pattern in ["v{version}", "{version}", "backend-v{version}", "v{version}-docker", "release/{version}"] {
            let pattern: TagPattern = pattern.parse().unwrap();
            for version in ["1.0.0", "1.2.3-rc.1", "2.0.0-beta.2-temp", "1.0.0-RC1"] {
                let version = Version::parse(version).unwrap();
                assert_eq!(pattern.version(&pattern.tag(&version)), Ok(version), "{pattern}");
            }
        }
    }

    #[test]
    fn patterns_that_could_become_options_or_paths_are_refused() {
        for pattern in
            ["", "v", "-{version}", "../{version}", "{version}{version}", "v {version}", "{version}.", "/{version}"]
        {
            assert!(pattern.parse::<TagPattern>().is_err(), "{pattern}");
        }
        for pattern in ["", "../{version}", "a/{version}", "{other}", ".hidden", "-o{version}", "a b"] {
            assert!(pattern.parse::<AssetPattern>().is_err(), "{pattern}");
        }
    }

    #[test]
    fn tags_that_aim_at_commands_or_readers_are_refused() {
        let any: TagPattern = "{version}".parse().unwrap();
        for tag in [
            "--upload-pack=evil",
            "-1.0.0",
            "$(id)",
            "1.0.0\n",
            "1.0.0;id",
            "1.0.0\u{202e}",
            "1.0 .0",
            "../1.0.0",
            "1.0.0/..",
            "1.0.0%2f",
            "1.0.0\u{0}",
            "１.0.0",
            "",
        ] {
            assert!(any.version(tag).is_err(), "{tag:?}");
        }
    }

    #[test]
    fn a_suffix_that_is_no_pre_release_is_no_version() {
        let plain = TagPattern::default();
        assert_eq!(plain.version("v1.0.0-docker"), Err("ends in \"-docker\", which names no pre-release".into()));
        assert_eq!(plain.version("v1.33"), Err("has 2 numbers, where a version has three".into()));
        assert_eq!(
            plain.version("v2026.01.05"),
            Err("has a number that begins with 0, as dates do and versions do not".into())
        );
    }

    #[test]
    fn an_advisory_touches_the_versions_in_its_range_and_no_others() {
        let touched = |range: &str, patched: &str, version: &str| {
            let affected = vec![Affected { range: range.into(), patched: Some(patched.into()) }];
            let advisory = Advisory {
                id: "GHSA-1".into(),
                cve: None,
                severity: HoleSeverity::High,
                summary: String::new(),
                url: None,
                affected,
            };
            advisory.touches(&version.parse().unwrap()).map(|it| it.map(|it| it.to_string()).unwrap_or_default())
        };
        for (range, patched, version, expected) in [
            ("< 1.4.2", "1.4.2", "1.4.1", Some("1.4.2")),
            ("< 1.4.2", "1.4.2", "1.4.2", None),
            ("<= 1.4.1", ">= 1.4.2", "1.4.1", Some("1.4.2")),
            (">= 1.0, < 1.4.2", "1.4.2, 2.0.1", "1.3.0", Some("1.4.2")),
            (">= 1.0, < 1.4.2", "", "0.9.0", None),
            ("= 1.4", "", "1.4.0", Some("")),
            ("= 1.4", "", "1.4.1", None),
            ("< 1.1.0 || >= 2.0.0, < 2.0.5", "1.1.0, v2.0.5", "2.0.0", Some("2.0.5")),
            ("< 1.4.2", "1.4.2", "1.4.1-rc.1", Some("1.4.2")),
            ("everything", "", "1.0.0", None),
            ("", "", "1.0.0", None),
            ("~ 1.0", "", "1.0.0", None),
        ] {
            assert_eq!(touched(range, patched, version).as_deref(), expected, "{version} in {range:?}");
        }
    }
}
