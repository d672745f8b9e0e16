//! Tag patterns on the tags of ten real repositories.

use std::{collections::BTreeMap, fs, path::Path};

use liftlock_engine::releases::TagPattern;
use rstest::rstest;

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
