//! Which backups something open may still want.

use chrono::Utc;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::journal::Ending;
use liftlock_engine::state::kept::Original;
use liftlock_engine::state::upgrades::{Options, Outcome};

use crate::support::Bench;

fn end() -> Ending {
    Ending {
        outcome: Outcome::Success,
        message: String::new(),
        error: None,
        receipt: None,
        boot_id: "boot".into(),
        uptime: 1.0,
    }
}

#[test]
fn a_backup_is_needed_by_an_open_update_by_a_kept_original_and_by_a_restore_that_was_asked_for() {
    let bench = Bench::new();
    let in_use = || {
        let found = bench.db().backups_in_use(&bench.shop).unwrap();
        found.into_iter().map(|it| it.display().to_string()).collect::<Vec<_>>()
    };
    assert!(in_use().is_empty());
    let id = bench.ask();
    let lease = bench.lease().unwrap();
    let mut journal = bench.take_up(id, lease.epoch);
    journal.set_backup("/backups/before").unwrap();
    assert_eq!(in_use(), ["/backups/before"]);
    while journal.upgrade().unwrap().state != State::Verifying {
        journal.advance(Event::Advanced).unwrap();
    }
    journal.end(Event::Advanced, &end(), Utc::now()).unwrap();
    assert!(in_use().is_empty(), "it is over, and nothing is kept");
    let original = Original {
        upgrade_id: id,
        installation: bench.shop.clone(),
        store: "main".into(),
        kept: "original".into(),
        place: "shop__aside".into(),
        bytes: None,
        kept_since: Utc::now(),
        removing_since: None,
    };
    bench.db().keep(&original).unwrap();
    assert_eq!(in_use(), ["/backups/before"]);
    bench.db().keep_no_longer(id, "main", "original").unwrap();
    assert!(in_use().is_empty());
    drop((journal, lease));
    bench.db().acknowledge(id, Utc::now()).unwrap();
    let restore = Options { restore: Some("/backups/old".into()), ..Options::default() };
    bench.db().ask_for_upgrade(&bench.shop, "app", "1.0.0", &restore, "tester", Utc::now()).unwrap();
    assert_eq!(in_use(), ["/backups/old"]);
}
