//! Profiles of applications that run on the machine itself.

use liftlock_engine::model::profile::{Driver, Profile};

use crate::{mistakes_with, native};

#[test]
fn what_makes_a_release_ready_is_held_to_the_rules_of_commands() {
    let native = native();
    let said = |from: &str, to: &str| -> Vec<String> {
        mistakes_with(native, from, to).into_iter().map(|it| it.reason).collect()
    };
    let pip = "command = [\"{release}/backend/venv/bin/pip\", \"install\", \"--requirement\", \"requirements.txt\"]";
    assert_eq!(said(pip, ""), ["“command” is missing in “driver.prepare[1]”"]);
    assert_eq!(said("\"npm\", \"ci\"", "\"npm\", \"ci\", \"&&\"").len(), 1);
    assert_eq!(said("folder = \"backend\"", "folder = \"../backend\"").len(), 1);
    assert_eq!(said("optional = true", "optinal = true"), ["unknown key “optinal” in “driver.prepare[2]”"]);
    assert_eq!(said("work_in = \"backend\"", "work_in = \"/backend\"").len(), 1);
    let Driver::Native(layout) = Profile::parse(native).unwrap().driver else { panic!("it runs without Docker") };
    assert_eq!((layout.current.as_str(), layout.releases.as_str()), (".liftlock/current", ".liftlock/releases"));
}
