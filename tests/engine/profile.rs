//! Profiles as their authors meet them: mistakes, the schema for editors, and the examples of the documentation.

mod profile_native;

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

use liftlock_engine::{
    model::profile::{Mistake, Profile},
    profiles,
};
use proptest::prelude::*;
use serde_json::Value;

#[path = "profile/containers.rs"]
mod containers;

use containers::in_a_stack;

const EVERYTHING: &str = include_str!("../fixtures/profiles/everything.toml");
const WRONG: &str = include_str!("../fixtures/profiles/wrong.toml");

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn corner_shop() -> &'static str {
    profiles::built_in().iter().find(|(id, _)| *id == "corner-shop").expect("it is built in").1
}

/// The mistakes of a text of which a part was replaced; the part must be there.
fn mistakes_with(text: &str, from: &str, to: &str) -> Vec<Mistake> {
    assert!(text.contains(from), "there is no {from} to replace");
    Profile::parse(&text.replacen(from, to, 1)).err().unwrap_or_default()
}

#[test]
fn a_profile_wrong_in_many_ways_hears_of_all_of_them_at_once() {
    let mistakes = Profile::parse(WRONG).unwrap_err();
    let mut said = String::new();
    for mistake in &mistakes {
        writeln!(said, "{mistake}").unwrap();
        assert!(!mistake.reason.is_empty() && !mistake.remedy.is_empty(), "{mistake:?}");
        assert!((1..=WRONG.lines().count()).contains(&mistake.line), "{mistake:?}");
    }
    assert!(!said.contains("hunter2"), "a secret is not repeated: {said}");
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_say_where_they_are() {
    let text = "format = 1\n[application]\nid = \"shop\"\nname = \"Größe 9\" \nextra = 1\n";
    let mistakes = Profile::parse(text).unwrap_err();
    let extra = mistakes.iter().find(|it| it.key == "application.extra").unwrap();
    assert_eq!((extra.line, extra.column), (5, 1));
    let missing = mistakes.iter().find(|it| it.key == "releases").unwrap();
    assert_eq!((missing.line, missing.reason.as_str()), (1, "“releases” is missing in the profile"));
}

#[test]
fn text_that_is_no_toml_is_told_by_line_without_guesses_about_what_is_missing() {
    let mistakes = mistakes_with(corner_shop(), "name = \"Corner Shop\"", "name = \"Corner Shop");
    let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    insta::assert_debug_snapshot!(said);
    let twice = mistakes_with(corner_shop(), "channel =", "tag = \"v{version}\"\nchannel =");
    insta::assert_snapshot!(twice[0], @"line 13: this is not TOML: duplicate key – keep one of the two");
}

#[test]
fn an_application_without_anything_that_runs_is_refused() {
    let text = corner_shop().replace("[[components]]", "[[component]]");
    let said: Vec<String> = Profile::parse(&text).unwrap_err().iter().map(ToString::to_string).collect();
    insta::assert_debug_snapshot!(said);
    let empty = Profile::parse("format = 1\ncomponents = []").unwrap_err();
    assert!(empty.iter().any(|it| it.key == "components" && it.line == 2), "{empty:#?}");
}

#[test]
fn a_token_may_stand_in_a_file_in_the_environment_or_in_the_keychain() {
    for reference in [r#"{ file = ".env", key = "TOKEN" }"#, r#"{ env = "TOKEN" }"#, r#"{ keychain = "github" }"#] {
        let text = corner_shop().replacen("asset = ", &format!("token = {reference}\nasset = "), 1);
        let token = Profile::parse(&text).unwrap().releases.token.unwrap();
        let written = serde_json::to_string(&token).unwrap().replace("\":", "\" = ").replace(',', ", ");
        let plain = |it: &str| it.replace(['"', ' '], "");
        assert_eq!(plain(&written), plain(reference));
    }
}

#[test]
fn the_port_of_the_gate_needs_a_gate() {
    let gate = corner_shop().find("[gate]").unwrap();
    let after = gate + corner_shop()[gate..].find("[migrations]").unwrap();
    let text = format!("{}{}", &corner_shop()[..gate], &corner_shop()[after..]);
    let keys: Vec<String> = Profile::parse(&text).unwrap_err().into_iter().map(|it| it.key).collect();
    assert_eq!(keys, ["version.http.url", "probes[0].url"]);
    assert_eq!(Profile::parse(&text.replace("127.0.0.1:{port}", "127.0.0.1:8080")).unwrap().gate, None);
}

#[test]
fn how_sql_server_is_trusted_is_said_of_sql_server_alone_and_once() {
    let keys = |source: &str| -> Vec<String> {
        let text = corner_shop().replacen(
            "[[components]]",
            &format!("[[sources]]\nname = \"old\"\n{source}\n\n[[components]]"),
            1,
        );
        // With two databases each entity would have to say which.
        let keys = Profile::check(&text).mistakes.into_iter().map(|it| it.key);
        keys.filter(|it| !it.starts_with("exports")).collect()
    };
    let of = |more: &str| keys(&format!("kind = \"sqlserver\"\ndatabase = \"shop\"\nuser = \"reader\"\n{more}"));
    for good in
        ["", "encryption = \"none\"", "authority = \"ca.pem\"\nencryption = \"verified\"", "instance = \"BOOKS\""]
    {
        assert!(of(good).is_empty(), "{good}: {:?}", of(good));
    }
    assert_eq!(of("encryption = \"perhaps\""), ["sources[0].encryption"]);
    assert_eq!(of("encryption = \"unverified\"\nauthority = \"ca.pem\"").len(), 1);
    assert_eq!(of("url = \"sqlserver://reader@db/shop\"").len(), 1, "an address and its pieces");
    assert!(keys("kind = \"sqlserver\"\nurl = \"mssql+pyodbc://reader@db/shop?driver=any\"").is_empty());
    assert!(keys("kind = \"sqlserver\"\nurl = \"mysql://reader@db/shop\"") == ["sources[0].url"]);
    let mysql = keys("kind = \"mysql\"\nurl = \"mysql://reader@db/shop\"\ninstance = \"BOOKS\"");
    assert_eq!(mysql, ["sources[0].instance"]);
}

/// What Corner Shop's profile says of its files.
const FILES: &str = "channel = \"stable\"\nasset = \"corner-shop-{version}.tar.gz\"\nchecksums = \"SHA256SUMS\"\nrequire = \"checksum\"";

/// What is replaced in Corner Shop's profile, by what: each makes one mistake.
const SINGLE_MISTAKES: &[(&str, &str, &str)] = &[
    ("later format", "format = 1", "format = 2"),
    ("unknown table", "[limits]", "[limit]"),
    ("bad owner", "corner-shop/corner-shop\"", "-corner/--shop\""),
    ("secret in api", "https://api.github.com", "https://me:hunter2@api.github.com"),
    ("api is no base", "https://api.github.com", "https://api.github.com/?x=1"),
    ("tag without version", "v{version}", "v1"),
    ("tag like an option", "v{version}", "-{version}"),
    ("no checksums", "checksums = \"SHA256SUMS\"\n", ""),
    ("asset in a folder", "corner-shop-{version}.tar.gz", "a/b.tar.gz"),
    ("stop twice", "required_stops = []", "required_stops = [\"1.2.0\", \"1.2.0\"]"),
    ("no files", "files = [\"current/release.json\"]", "files = []"),
    ("other driver", "kind = \"native\"", "kind = \"swarm\""),
    ("no version", "http = { url = \"http://127.0.0.1:{port}/api/v1/system/version\", field = \"version\" }", ""),
    ("odd field", "field = \"version\"", "field = \"a..b\""),
    ("settings in release", "file = \".env\"\nexample", "file = \"current/.env\"\nexample"),
    ("backslashes", "data/uploads", "data\\\\uploads"),
    ("data in releases", "data/uploads", "releases/uploads"),
    ("whole folder as data", "data/uploads", "."),
    ("half pointed", "@{host}:{port}/{database}", "@localhost/{database}"),
    ("secret pointed", "{user}:{password}@", "{user}:hunter2@"),
    ("port variable twice", "point_at = { DATABASE_URL", "point_at = { SHOP_PORT = \"x\", DATABASE_URL"),
    (
        "url and pieces",
        "url = { file = \".env\", key = \"DATABASE_URL\" }",
        "url = \"postgres://shop@db/shop\"\nhost = \"db\"",
    ),
    ("no database", "url = { file = \".env\", key = \"DATABASE_URL\" }", "user = \"shop\""),
    ("nowhere", "url = { file = \".env\", key = \"DATABASE_URL\" }", ""),
    ("not postgres", "url = { file = \".env\", key = \"DATABASE_URL\" }", "url = \"mysql://shop@db/shop\""),
    (
        "secret in query",
        "url = { file = \".env\", key = \"DATABASE_URL\" }",
        "url = \"postgres://shop@db/shop?password=hunter2\"",
    ),
    ("keychain", "url = { file = \".env\", key = \"DATABASE_URL\" }", "url = { keychain = \"shop\" }"),
    ("environment", "url = { file = \".env\", key = \"DATABASE_URL\" }", "url = { env = \"DATABASE_URL\" }"),
    ("token in clear", "asset = \"", "token = \"ghp_123\"\nasset = \""),
    ("no branch", FILES, "channel = \"branch\"\nrequire = \"none\""),
    ("odd branch", "channel = \"stable\"", "branch = \"--main\""),
    ("trusted source", FILES, "published = \"tags\"\nrequire = \"checksum\""),
    ("odd entry", "asset = \"", "token = { keychain = \"git hub\" }\nasset = \""),
    ("two places", "asset = \"", "token = { env = \"TOKEN\", keychain = \"github\" }\nasset = \""),
    ("passfile as url", "url = { file = \".env\", key = \"DATABASE_URL\" }", "url = { passfile = \".pgpass\" }"),
    ("unit and command", "run = { command", "run = { unit = \"shop.service\", command"),
    ("option as program", "[\"current/bin/corner-shop\", \"serve\"]", "[\"--serve\"]"),
    ("climbing program", "current/bin/corner-shop", "../bin/corner-shop"),
    ("number as argument", "\"serve\"]", "8080]"),
    ("stray brace", "\"serve\"]", "\"{dir\"]"),
    ("placeholder elsewhere", "\"serve\"]", "\"{host}\"]"),
    ("no such component", "component = \"shop\"", "component = \"ship\""),
    ("no address", "bind = \"127.0.0.1\"", "bind = \"everywhere\""),
    ("migrations without migrate", "migrate = {", "# {"),
    ("schema without empty", ", empty = \"empty\"", ""),
    ("probe without store", "store = \"database\"", "store = \"databases\""),
    ("probe of files", "store = \"database\"", "store = \"uploads\""),
    (
        "twin probes",
        "name = \"database\"\nkind = \"postgres\"\nstore",
        "name = \"website\"\nkind = \"postgres\"\nstore",
    ),
    ("short stall", "stall_after = \"10m\"", "stall_after = \"0s\""),
    ("backwards time", "\"10m\"", "\"10s5m\""),
    ("huge time", "\"10m\"", "\"99999999999999999999d\""),
    ("column expression", "column = \"name\"", "column = \"name; --\""),
    ("out and in", "leave_out = []", "leave_out = [\"name\"]"),
    ("invisible", "Corner Shop\"", "Corner \\u202eShop\""),
];

#[test]
fn one_mistake_is_told_once() {
    let mut said = String::new();
    for (name, from, to) in SINGLE_MISTAKES {
        let mistakes = mistakes_with(corner_shop(), from, to);
        writeln!(said, "{name}").unwrap();
        for mistake in &mistakes {
            writeln!(said, "    {mistake} ({})", mistake.key).unwrap();
        }
        assert_eq!(mistakes.len(), 1, "{name}: {mistakes:#?}");
    }
    assert!(!said.contains("hunter2"), "a secret is not repeated: {said}");
    insta::assert_snapshot!(said);
}

/// What is replaced in Corner Shop's profile, by what: each forgoes one promise.
const SINGLE_WARNINGS: &[(&str, &str, &str)] = &[
    ("nothing required", "require = \"checksum\"", "require = \"none\""),
    ("no rehearsal", "schema_version = {", "# {"),
    ("not pointed elsewhere", "point_at = {", "# {"),
    (
        "no required probe",
        "required = true\n\n[[probes]]\nname = \"database\"",
        "required = false\n\n[[probes]]\nrequired = false\nname = \"database\"",
    ),
    ("credentials in clear", "status = 200", "status = 200\nauth = { bearer = { file = \".env\", key = \"T\" } }"),
    ("stalls too late", "stall_after = \"10m\"", "stall_after = \"7h\""),
    ("a secret is exported", "column = \"name\"", "column = \"password_hash\""),
    (
        "a unit without environment",
        "{ command = [\"current/bin/corner-shop\", \"serve\"], env_file = \".env\" }",
        "{ unit = \"shop.service\" }",
    ),
];

#[test]
fn promises_forgone_are_warned_of() {
    let mut said = String::new();
    for (name, from, to) in SINGLE_WARNINGS {
        assert!(corner_shop().contains(from), "there is no {from} to replace");
        let mut text = corner_shop().replacen(from, to, 1);
        if *name == "credentials in clear" {
            text = text.replace("http://127.0.0.1:{port}/health", "http://shop.example.org/health");
        }
        if *name == "a unit without environment" {
            text = text.replace("socket = \"SHOP_SOCKET\"\n", "");
        }
        let checked = Profile::check(&text);
        assert_eq!(checked.mistakes, [], "{name}");
        assert_eq!(checked.warnings.len(), 1, "{name}: {:#?}", checked.warnings);
        assert_eq!(checked.profile.unwrap().warnings, checked.warnings, "{name}");
        writeln!(said, "{name}\n    {} ({})", checked.warnings[0], checked.warnings[0].key).unwrap();
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_a_profile_does_without_is_said() {
    let text = corner_shop();
    let bare: String = text
        .split_inclusive("\n\n")
        .filter(|it| {
            !["[[stores]]", "[gate]", "[[probes]]", "[migrations]", "[[exports]]"]
                .iter()
                .any(|table| it.contains(table))
        })
        .collect();
    let checked = Profile::check(&bare.replace("{port}", "8080"));
    assert_eq!(checked.mistakes, []);
    let said: Vec<String> = checked.warnings.iter().map(ToString::to_string).collect();
    insta::assert_debug_snapshot!(said);
}

#[test]
fn commands_without_an_environment_get_that_of_the_first_component() {
    let profile = Profile::parse(corner_shop()).unwrap();
    let migrations = profile.migrations.unwrap();
    assert_eq!(migrations.migrate.unwrap().env_file.unwrap().as_str(), ".env");
    assert_eq!(migrations.schema_version.unwrap().env_file.unwrap().as_str(), ".env");
    let everything = Profile::parse(EVERYTHING).unwrap();
    let migrate = everything.migrations.as_ref().unwrap().migrate.as_ref().unwrap();
    assert_eq!(migrate.env_file.as_ref().unwrap().as_str(), "/etc/thing/migrate.env", "its own stays");
    let phases: Vec<Vec<&str>> =
        everything.phases().iter().map(|phase| phase.iter().map(|it| it.name.as_str()).collect()).collect();
    assert_eq!(phases, [["api"], ["jobs"]]);
}

#[test]
fn what_was_read_can_be_written_and_read_again() {
    for text in [EVERYTHING, corner_shop()] {
        let first = Profile::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let written = toml::to_string(&first).unwrap();
        let again = Profile::parse(&written).unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{written}"));
        assert_eq!(
            Profile { source: String::new(), warnings: vec![], ..again },
            Profile { source: String::new(), warnings: vec![], ..first }
        );
    }
}

#[test]
fn a_secret_that_is_asked_for_has_no_default_and_only_what_is_made_up_a_length() {
    let asked = "name = \"Secret of sessions\", generate = true";
    let said = |to: &str| mistakes_with(EVERYTHING, asked, to).iter().map(|it| it.reason.clone()).collect::<Vec<_>>();
    assert_eq!(said(&format!("{asked}, length = 32")), Vec::<String>::new());
    assert_eq!(said(&format!("{asked}, default = \"x\"")), ["a secret has a default, which everybody would know"]);
    assert_eq!(said("name = \"Secret\", length = 32"), ["“length” is about one that is made up"]);
    assert_eq!(said(&format!("{asked}, length = 8")), ["“asked[0].length” of [[settings]] number 1 is out of bounds"]);
    assert_eq!(said("generate = true").len(), 1, "it has a name");
}

/// The built-in one that runs out of a checkout.
fn native() -> &'static str {
    profiles::built_in().iter().find(|(id, _)| *id == "filaops-native").expect("it is built in").1
}

/// `UPDATE_SCHEMA=1 cargo test -p liftlock-engine --test profile` writes it anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = docs("schema/profile.schema.json");
    let schema = Profile::json_schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &schema).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == schema, "docs/schema/profile.schema.json is not current: run this test with UPDATE_SCHEMA=1");
}

#[test]
fn the_worker_carries_the_published_schema() {
    let published = fs::read_to_string(docs("schema/profile.schema.json")).unwrap();
    assert!(Profile::published_schema().unwrap() == published, "what is packed is not what is published");
}

/// The whole profiles in the documentation.
fn documented() -> Vec<String> {
    let text = fs::read_to_string(docs("profiles.md")).expect("the documentation is there");
    let blocks = text.split("```toml\n").skip(1).filter_map(|it| it.split("```").next());
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_profiles_in_the_documentation_are_good() {
    let texts = documented();
    assert!(texts.iter().any(|it| it == corner_shop()), "the built-in profile is shown as it is");
    for text in &texts {
        let checked = Profile::check(text);
        assert_eq!(checked.mistakes, [], "{text}");
        assert_eq!(checked.warnings, [], "{text}");
    }
    assert_eq!(texts.len(), 5);
}

/// A key that only one of the two knew would be a surprise in an editor or on the command line.
#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema: Value = serde_json::from_str(&Profile::json_schema()).unwrap();
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    every_key(&schema, &schema, "profile", &mut known);
    let in_a_file = "token = { file = \"/etc/thing/token.env\", key = \"TOKEN\" }";
    let elsewhere =
        ["token = { env = \"TOKEN\" }", "token = { keychain = \"thing\" }"].map(|it| EVERYTHING.replace(in_a_file, it));
    let texts =
        documented().into_iter().chain(elsewhere).chain([in_a_stack(), EVERYTHING.to_owned(), native().to_owned()]);
    for text in &texts.collect::<Vec<_>>() {
        assert_eq!(Profile::check(text).mistakes, []);
        keys_used(&schema, &schema, "profile", &toml::from_str(text).unwrap(), &mut used);
    }
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "no good profile here uses these keys of the schema: {unused:?}");
}

/// Follows references; the name is that of the definition.
fn resolved<'s>(root: &'s Value, schema: &'s Value, name: &str) -> (&'s Value, String) {
    let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"));
    match reference.and_then(|it| it.as_str()?.strip_prefix("#/definitions/")) {
        Some(definition) => resolved(root, &root["definitions"][definition], definition),
        None => (schema, name.to_owned()),
    }
}

fn choices(schema: &Value) -> Vec<&Value> {
    ["oneOf", "anyOf"].iter().filter_map(|it| schema.get(it)?.as_array()).flatten().collect()
}

/// `Definition.key` of every key below a schema.
fn every_key(root: &Value, schema: &Value, name: &str, known: &mut BTreeSet<String>) {
    let (schema, name) = resolved(root, schema, name);
    for (key, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        // A flattened choice is mentioned as `true`; its keys stand below.
        if below.is_object() && known.insert(format!("{name}.{key}")) {
            every_key(root, below, &format!("{name}.{key}"), known);
        }
    }
    for below in choices(schema).into_iter().chain(schema.get("items")) {
        every_key(root, below, &name, known);
    }
}

/// `Definition.key` of every key in a document.
fn keys_used(root: &Value, schema: &Value, name: &str, document: &Value, used: &mut BTreeSet<String>) {
    let (schema, name) = resolved(root, schema, name);
    if let Some(members) = document.as_array() {
        members.iter().for_each(|it| keys_used(root, &schema["items"], &name, it, used));
    }
    let Some(keys) = document.as_object() else { return };
    for choice in choices(schema) {
        let (choice, _) = resolved(root, choice, &name);
        let required = choice["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let kind = choice["properties"]["kind"].get("const");
        let is_object = choice.get("type").is_some_and(|it| it == "object");
        let is_open = choice.get("additionalProperties").is_none_or(|it| it != false);
        if is_object
            && (is_open || keys.keys().all(|it| choice["properties"].get(it).is_some()))
            && required.clone().all(|it| keys.contains_key(it))
            && kind.is_none_or(|it| document.get("kind") == Some(it))
        {
            keys_used(root, choice, &name, document, used);
        }
    }
    for (key, value) in keys {
        if let Some(below) = schema["properties"].get(key).filter(|it| it.is_object()) {
            used.insert(format!("{name}.{key}"));
            keys_used(root, below, &format!("{name}.{key}"), value, used);
        } else {
            let is_closed = schema.get("additionalProperties").is_some_and(|it| it == false);
            let of_a_choice = schema["properties"].get(key).is_some();
            assert!(!is_closed || of_a_choice, "the schema does not know {key} in {name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,400}") {
        let checked = Profile::check(&text);
        prop_assert_eq!(checked.profile.is_some(), checked.mistakes.is_empty());
    }

    /// A piece taken out, doubled, or replaced by another piece of a profile or by noise.
    #[test]
    fn a_damaged_profile_is_read_or_refused(
        at in any::<prop::sample::Index>(), length in 0usize..60, from in any::<prop::sample::Index>(),
        noise in "[\\[\\]{}=\"'\\\\.,\\na-z0-9é-]{0,6}", everything in any::<bool>(),
    ) {
        let signs: Vec<char> = if everything { EVERYTHING } else { corner_shop() }.chars().collect();
        let at = at.index(signs.len());
        let end = (at + length).min(signs.len());
        let from = from.index(signs.len());
        let piece = &signs[from..(from + length / 2).min(signs.len())];
        let text: String = signs[..at].iter().chain(piece).copied().chain(noise.chars()).chain(signs[end..].iter().copied()).collect();
        let checked = Profile::check(&text);
        prop_assert_eq!(checked.profile.is_some(), checked.mistakes.is_empty());
        let lines = text.lines().count().max(1);
        for mistake in &checked.mistakes {
            prop_assert!(!mistake.to_string().contains(char::is_control), "a terminal is not driven: {:?}", mistake);
            prop_assert!(mistake.line >= 1 && mistake.line <= lines + 1 && mistake.column >= 1, "{:?}", mistake);
        }
    }
}
