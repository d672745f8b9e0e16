//! An installation that follows a branch: its versions are commits, told by the commit that the application says.

use liftlock_engine::engine::Look;
use liftlock_engine::process::Silent;

use crate::support::{Expected, World, judge};

/// The same profile for whoever follows the branch `main`, where nothing vouches for a file.
fn along_main(profile: String) -> String {
    let (stable, required) = ("channel = \"stable\"", "require = \"checksum\"");
    assert!(profile.contains(stable) && profile.contains(required));
    profile.replace(stable, "channel = \"branch\"\nbranch = \"main\"").replace(required, "require = \"none\"")
}

#[test]
fn a_commit_is_upgraded_to_and_the_next_one_that_fails_comes_back_to_it() {
    let world = World::with(&["1.0.0"]);
    world.demo(&["publish", "--untagged", "1.1.0"]);
    let case = world.case_with(|it| along_main(it).replace("start_within = \"60s\"", "start_within = \"8s\""));
    let newest = || {
        case.engine.check_releases(None, Look::Now, &Silent).unwrap();
        case.engine.releases(&case.name).unwrap().latest.unwrap()
    };
    let first = newest();
    assert!(first.starts_with("1.0.1-0."), "a commit after the tag of 1.0.0: {first}");
    let ended = case.work(case.ask(&first), &[]);
    // Its commit is what it says of itself.
    let commit = first.rsplit('-').next().unwrap();
    let calls_itself = format!("1.0.0 ({})", &commit[..7]);
    let expected = Expected { answers: Some(&calls_itself), ..Expected::complete(&first) };
    judge::judge(&case, &ended, &expected);

    // The next commit never becomes healthy.
    world.demo(&["publish", "--untagged", "1.2.0"]);
    let second = newest();
    assert!(second > first, "{second} after {first}");
    let ended = case.work(case.ask(&second), &[]);
    judge::judge(
        &case,
        &ended,
        &Expected { version: &first, answers: Some(&calls_itself), ..Expected::rolled_back("unhealthy") },
    );
}
