//! Tag patterns on the tags of ten real repositories.

use std::{collections::BTreeMap, fs, path::Path};

use liftlock_engine::model::path::{NoPath, NotDirectly, path};
use liftlock_engine::releases::TagPattern;
use rstest::rstest;
use semver::Version;

fn tags(repository: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tags");
    let text = fs::read_to_string(folder.join(format!("{repository}.tsv"))).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[rstest]
#[case("BLB3DPrinting__filaops", "v{version}")]
#[case("BadgerOps__grapheon", "backend-v{version}")]
#[case("BadgerOps__grapheon", "frontend-v{version}")]
#[case("BadgerOps__grapheon", "agent-v{version}")]
#[case("BadgerOps__grapheon", "{version}")]
#[case("calounx__mentat", "v{version}")]
#[case("dani-garcia__vaultwarden", "{version}")]
#[case("dotnetpower__elb-dashboard", "v{version}")]
#[case("knadh__listmonk", "v{version}")]
#[case("louislam__uptime-kuma", "{version}")]
#[case("mealie-recipes__mealie", "v{version}")]
#[case("prometheus__node_exporter", "v{version}")]
#[case("umami-software__umami", "v{version}")]
fn real_tags_are_read_as_their_publishers_mean_them(#[case] repository: &str, #[case] pattern: &str) {
    let pattern: TagPattern = pattern.parse().unwrap();
    let (mut finished, mut early, mut passed) = (Vec::new(), Vec::new(), BTreeMap::<String, String>::new());
    for tag in tags(repository) {
        match pattern.version(&tag) {
            Ok(version) if version.pre.is_empty() => finished.push(version),
            Ok(version) => early.push(version),
            Err(why) => {
                passed.insert(tag, why);
            }
        }
    }
    finished.sort();
    early.sort();
    // Tags of other components are many and all passed over for the same reason.
    let other = passed.values().filter(|why| why.contains("not of the form")).count();
    passed.retain(|_, why| !why.contains("not of the form"));
    let last = finished.last().map(ToString::to_string);
    let name = format!("{repository} {pattern}").replace(['{', '}', ' '], "_");
    insta::with_settings!({ snapshot_path => "../../fixtures/tags", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_debug_snapshot!(name, (finished.len(), last, early.iter().map(ToString::to_string).collect::<Vec<_>>(), other, passed));
    });
}

/// One major version after the other.
const EACH_MAJOR: &[(&str, &str)] =
    &[("<2.0.0", ">=3.0.0"), ("<3.0.0", ">=4.0.0"), ("<4.0.0", ">=5.0.0"), ("<5.0.0", ">=6.0.0")];

/// The rules are made up or read in release notes; the tags are the real ones, in the order in which they were made.
#[rstest]
#[case::another_major_of_the_database("BLB3DPrinting__filaops", "v", ("2.0.1", "4.1.0"), &[], &[("<3.0.0", ">=3.1.0")], "3.0.1 4.1.0")]
#[case::no_suffix_is_a_stop("BLB3DPrinting__filaops", "v", ("1.3.0", "2.2.0"), &[], &[("<1.7.0", ">=2.0.0"), ("<2.1.0", ">=2.2.0")], "none 1.3.0")]
#[case::one_component_of_three("BadgerOps__grapheon", "backend-v", ("0.1.0", "0.3.0"), &["0.2.0"], &[], "0.2.0 0.3.0")]
#[case::major_after_major("calounx__mentat", "v", ("1.0.1", "6.4.0"), &[], EACH_MAJOR, "2.1.0 3.0.0 4.3.0 5.0.0 6.4.0")]
#[case::nothing_forbids("dani-garcia__vaultwarden", "", ("1.30.0", "1.32.0"), &[], &[], "1.32.0")]
#[case::three_in_all("dotnetpower__elb-dashboard", "v", ("0.1.0", "0.3.0"), &["0.2.0"], &[], "0.2.0 0.3.0")]
#[case::two_stops_in_any_order("knadh__listmonk", "v", ("2.5.1", "6.2.0"), &["5.0.0", "3.0.0"], &[], "3.0.0 5.0.0 6.2.0")]
#[case::betas_are_no_way("louislam__uptime-kuma", "", ("1.10.2", "2.5.3"), &[], &[("<1.23.0", ">=2.0.0")], "1.23.17 2.5.3")]
#[case::stops_behind_and_beyond("mealie-recipes__mealie", "v", ("0.5.6", "1.12.0"), &["0.4.1", "1.0.0", "2.0.0"], &[], "1.0.0 1.12.0")]
#[case::a_stop_that_is_not_out("mealie-recipes__mealie", "v", ("0.5.6", "2.0.0"), &["1.4.1"], &[], "missing 1.4.1")]
#[case::over_a_major("prometheus__node_exporter", "v", ("0.18.1", "1.12.1"), &["1.0.0"], &[], "1.0.0 1.12.1")]
#[case::tags_that_came_late("umami-software__umami", "v", ("1.20.0", "3.1.0"), &[], &[("<1.40.0", ">=2.0.0"), ("<2.19.0", ">=3.0.0")], "1.40.0 2.20.2 3.1.0")]
fn the_way_over_real_tags_is_the_shortest_that_the_rules_allow(
    #[case] repository: &str,
    #[case] before: &str,
    #[case] (from, to): (&str, &str),
    #[case] stops: &[&str],
    #[case] rules: &[(&str, &str)],
    #[case] expected: &str,
) {
    let pattern: TagPattern = format!("{before}{{version}}").parse().unwrap();
    let out: Vec<Version> = tags(repository).iter().filter_map(|it| pattern.version(it).ok()).collect();
    let version = |it: &str| it.parse::<Version>().unwrap();
    let (from, to) = (version(from), version(to));
    assert!(out.contains(&to), "{to} is out");
    let stops: Vec<Version> = stops.iter().map(|it| version(it)).collect();
    let rules = rules.iter().map(|(from, to)| NotDirectly { from: from.parse().unwrap(), to: to.parse().unwrap() });
    let found = match path(&from, &to, &out, &stops, &rules.collect::<Vec<_>>()) {
        Ok(way) => way.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(NoPath::StopMissing(stop)) => format!("missing {stop}"),
        Err(NoPath::Forbidden(from, _)) => format!("none {from}"),
    };
    assert_eq!(found, expected);
}
