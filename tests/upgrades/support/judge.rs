//! The judge: what must be true of the world after every run, whatever was done to it meanwhile.
//!
//! Everything is looked at before judgement is passed, so that one failure tells all that is wrong.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use liftlock_engine::backups;
use liftlock_engine::history;
use liftlock_engine::model::state::State;
use liftlock_engine::process::Silent;
use liftlock_engine::state::lease::Lease;
use liftlock_engine::state::upgrades::Upgrade;
use liftlock_engine::stores::Grade;
use liftlock_engine::view::StatusView;
use serde_json::Value;

use super::{Case, Ended, files_below, lives, processes, variable, wait_for};

/// How a run must have ended.
#[derive(Debug, Clone)]
pub(crate) struct Expected<'e> {
    pub(crate) state: State,
    /// The version that must run.
    pub(crate) version: &'e str,
    /// What the application calls itself, where that is not its version.
    pub(crate) answers: Option<&'e str>,
    /// Class of the error, where there must be one.
    pub(crate) class: Option<&'e str>,
    /// Outcomes in the history, oldest first.
    pub(crate) outcomes: &'e [&'e str],
    /// Whether somebody shopped meanwhile: then only what was there before is compared, the shopper proves the rest.
    pub(crate) shopped: bool,
    /// Whether users must never have noticed.
    pub(crate) never_away: bool,
    /// Whether the data was changed in place: then what lies beside is what was half changed.
    pub(crate) in_place: bool,
}

impl<'e> Expected<'e> {
    /// The new version runs with all data.
    pub(crate) fn complete(version: &'e str) -> Self {
        Self {
            state: State::Complete,
            version,
            answers: None,
            class: None,
            outcomes: &["success"],
            shopped: false,
            never_away: false,
            in_place: false,
        }
    }

    /// The old version runs with the old data.
    pub(crate) fn rolled_back(class: &'e str) -> Self {
        Self { state: State::RolledBack, class: Some(class), outcomes: &["rolled_back"], ..Self::complete("1.0.0") }
    }

    /// Nothing was changed, and nobody noticed.
    pub(crate) fn failed(class: &'e str) -> Self {
        Self { state: State::Failed, outcomes: &["failed"], never_away: true, ..Self::rolled_back(class) }
    }

    /// A person stopped it before anything was changed.
    pub(crate) fn aborted() -> Self {
        Self { outcomes: &["aborted_by_user"], ..Self::failed("cancelled") }
    }

    /// It was not begun.
    pub(crate) fn refused(class: &'e str) -> Self {
        Self { outcomes: &["refused"], ..Self::failed(class) }
    }

    /// Back at the old version after the new one had been complete.
    pub(crate) fn returned() -> Self {
        Self { class: None, outcomes: &["success", "rolled_back"], ..Self::rolled_back("") }
    }

    pub(crate) fn while_shopping(mut self) -> Self {
        self.shopped = true;
        self
    }
}

/// Judges a run that was struck at random: the new version with the new data, or the old one with the old data because
/// its migration was interrupted.
pub(crate) fn judge_legal(case: &Case<'_>, ended: &Ended) {
    let expected = match case.upgrade(ended.id).state {
        State::RolledBack => Expected::rolled_back("unclear"),
        _ => Expected::complete("1.1.0"),
    };
    judge(case, ended, &expected);
}

/// What was found wrong.
struct Findings(Vec<String>);

impl Findings {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, wanted: T) {
        if found != wanted {
            self.0.push(format!("{what}: {found:?} instead of {wanted:?}"));
        }
    }

    fn no(&mut self, what: &str, found: &[String]) {
        if !found.is_empty() {
            self.0.push(format!("{what}: {}", found.join("; ")));
        }
    }
}

/// Looks at everything.
pub(crate) fn judge(case: &Case<'_>, ended: &Ended, expected: &Expected<'_>) {
    let mut found = Findings(Vec::new());
    let upgrade = case.upgrade(ended.id);
    ending(case, &upgrade, expected, &mut found);
    assert_eq!(upgrade.state, expected.state, "{}", case.story(ended.id));
    content(case, expected, &mut found);
    databases(case, &upgrade, expected, &mut found);
    backups_verify(case, &upgrade, &mut found);
    nobody_is_left(case, &upgrade, &mut found);
    nothing_lies_about(case, &mut found);
    history_agrees(case, &upgrade, expected, &mut found);
    found.no("command lines with a password", &ended.heard);
    secrets_are_kept(case, &mut found);
    if let Err(error) = case.db().quick_check() {
        found.0.push(format!("quick_check: {error}"));
    }
    assert!(found.0.is_empty(), "the judge found:\n  {}\n\n{}", found.0.join("\n  "), case.story(ended.id));
}

fn ending(case: &Case<'_>, upgrade: &Upgrade, expected: &Expected<'_>, found: &mut Findings) {
    found.same("state", upgrade.state, expected.state);
    found.same("error class", upgrade.error.as_ref().map(|it| it.class.as_ref()), expected.class);
    found.same("result", upgrade.result.as_deref(), expected.outcomes.last().copied());
    found.same("away", upgrade.away_from.is_none(), expected.never_away);
    match case.engine.status(&case.name).unwrap() {
        StatusView::Upgrade(status) => {
            found.same("status", status.state, upgrade.state);
            found.same("active", status.active || status.interrupted, false);
            found.same("holder", status.holder, None);
        }
        StatusView::Idle(_) => {}
    }
    let receipt = upgrade.receipt.as_deref().map(|it| serde_json::from_slice::<Value>(&fs::read(it).unwrap()).unwrap());
    match receipt {
        None => found.0.push("there is no receipt".to_owned()),
        Some(receipt) => found.same("receipt", receipt["outcome"].as_str(), upgrade.result.as_deref()),
    }
}

/// Old version with old data, or new version with new data, and nothing between.
fn content(case: &Case<'_>, expected: &Expected<'_>, found: &mut Findings) {
    let world = case.world;
    found.same("version that answers", world.version().as_deref(), Some(expected.answers.unwrap_or(expected.version)));
    found.same("release in place", world.current().as_str(), expected.version);
    found.same("health", world.get("/health").map(|it| it.0), Some(200));
    let now = world.demo(if expected.shopped { &["hash", "--seeded"] } else { &["hash"] });
    let before = &world.before;
    let is_new = expected.version != "1.0.0";
    found.same("what 1.0.0 knew", &now["content_1_0"], &before["content_1_0"]);
    found.same("uploads", &now["uploads"], &before["uploads"]);
    found.same("settings of the database", &now["settings"], &before["settings"]);
    if !expected.shopped {
        found.same("whether the data is the old", now["content"] == before["content"], !is_new);
    }
    let channel = world.sql(
        "corner_shop",
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'channel'",
    );
    found.same("column of 1.1.0", channel.as_str(), if is_new { "1" } else { "0" });
}

/// The one in use is open, and beside it lie only originals and copies that failed, closed.
fn databases(case: &Case<'_>, upgrade: &Upgrade, expected: &Expected<'_>, found: &mut Findings) {
    let list = case.world.sql(
        "postgres",
        "SELECT datname || ' ' || datallowconn FROM pg_database WHERE NOT datistemplate AND datname LIKE 'corner_shop%' ORDER BY 1",
    );
    let short = upgrade.id.short();
    let may_lie_aside = expected.state == State::Complete || expected.in_place;
    found.same("database in use", list.lines().any(|it| it == "corner_shop true"), true);
    let odd: Vec<String> = list.lines().filter(|it| it.contains("__next_")).map(str::to_owned).collect();
    found.no("half-made databases", &odd);
    let is_odd = |it: &&str| it.contains(&format!("__aside_{short}")) && !may_lie_aside;
    let aside: Vec<String> = list.lines().filter(is_odd).map(str::to_owned).collect();
    found.no("originals that are not back", &aside);
    let sessions = case.world.sql(
        "postgres",
        "SELECT application_name || ' in ' || coalesce(datname, '') FROM pg_stat_activity WHERE application_name LIKE 'liftlock/%' \
         UNION ALL SELECT 'an advisory lock' FROM pg_locks WHERE locktype = 'advisory' \
         UNION ALL SELECT 'a prepared transaction' FROM pg_prepared_xacts",
    );
    found.no("left on the server", &sessions.lines().map(str::to_owned).collect::<Vec<_>>());
}

fn backups_verify(case: &Case<'_>, upgrade: &Upgrade, found: &mut Findings) {
    let (all, odd) = backups::list(&case.home.backups(&case.name).unwrap()).unwrap();
    found.no("backups that cannot be read", &odd.iter().map(ToString::to_string).collect::<Vec<_>>());
    for backup in &all {
        for dumped in &backup.manifest.stores {
            let path = backup.path.join(&dumped.file);
            let mut file = File::open(&path).unwrap();
            let (sha256, bytes) = liftlock_engine::digest::sha256_of(&mut file, &path, None, &Silent).unwrap();
            found.same("dump", (&sha256, bytes), (&dumped.sha256, dumped.bytes));
        }
    }
    if upgrade.away_from.is_some() {
        let its_own = all.iter().find(|it| upgrade.backup.as_deref() == it.path.to_str());
        found.same("grade of its backup", its_own.map(|it| it.grade), Some(Grade::Proven));
    }
}

/// No process that acts for the upgrade, no scratch server, no lease.
fn nobody_is_left(case: &Case<'_>, upgrade: &Upgrade, found: &mut Findings) {
    let id = upgrade.id.to_string();
    let scratch = case.scratch().display().to_string();
    let is_left = |(pid, line): &(u32, String)| {
        lives(*pid)
            && (variable(*pid, "LIFTLOCK_UPGRADE").is_some_and(|it| it == id)
                || line.contains(&scratch)
                || line.contains(&format!("work {id}")))
    };
    let left: Vec<String> =
        processes().into_iter().filter(is_left).map(|(pid, line)| format!("{pid} {line}")).collect();
    found.no("processes that are left", &left);
    if let Some(holder) = Lease::holder(&case.home, &case.name).unwrap() {
        found.0.push(format!("the lease is held by {holder:?}"));
    }
    let lock = case.world.shop.join(".liftlock/lock");
    if let Ok(lock) = File::open(&lock) {
        found.same("lease in the folder", lock.try_lock().is_ok(), true);
    }
}

/// Nothing half-made, no password at rest.
fn nothing_lies_about(case: &Case<'_>, found: &mut Findings) {
    let entries = |folder: &Path| -> Vec<String> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path().display().to_string()).collect()
    };
    let files =
        |folder: &Path| -> Vec<String> { files_below(folder).iter().map(|it| it.display().to_string()).collect() };
    found.no("left of scratch servers", &files(&case.scratch()));
    found.no("left of secrets", &files(&case.home.root().join("secrets")));
    let parts: Vec<String> =
        [case.home.backups(&case.name).unwrap(), case.world.shop.join("releases"), case.home.downloads()]
            .iter()
            .flat_map(|it| entries(it))
            .filter(|it| it.contains("/.part"))
            .collect();
    found.no("half-made folders", &parts);
}

/// One line for each outcome, in the file as in the database.
fn history_agrees(case: &Case<'_>, upgrade: &Upgrade, expected: &Expected<'_>, found: &mut Findings) {
    let id = upgrade.id.to_string();
    let lines = history::read(&case.home.history()).unwrap();
    let mine: Vec<&str> = lines
        .iter()
        .filter(|it| it.record["upgrade_id"] == id.as_str())
        .filter_map(|it| it.record["result"].as_str())
        .collect();
    found.same("lines of the history", mine, expected.outcomes.to_vec());
    let records = case.db().history_records().unwrap();
    let recorded: Vec<&str> = records
        .iter()
        .filter(|it| it.1["upgrade_id"] == id.as_str())
        .filter_map(|it| it.1["result"].as_str())
        .collect();
    found.same("records of the history", recorded, expected.outcomes.to_vec());
    found.same("lines in all", lines.len(), records.len());
    found.same("chain of the history", case.engine.verify_history().unwrap().intact, true);
}

/// The passwords of the database are nowhere in what Liftlock writes, nor in what the shop logged.
fn secrets_are_kept(case: &Case<'_>, found: &mut Findings) {
    let mut told = Vec::new();
    let root = case.home.root();
    // Programs and emptiness: large, and not written by us.
    let dull = [case.home.downloads(), case.home.workers(), case.home.ballast()];
    let written = files_below(root).into_iter().filter(|it| !dull.iter().any(|dull| it.starts_with(dull)));
    for file in written.chain(files_below(&case.world.shop.join("logs"))) {
        // A file may be taken away while we look.
        let Ok(bytes) = fs::read(&file) else { continue };
        let tells = |secret: &String| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        if case.world.secrets.iter().any(tells) {
            told.push(file.display().to_string());
        }
    }
    found.no("files with a password", &told);
}

/// The database is well and has as many orders as there were, whatever the upgrade says: for faults that leave it open.
pub(crate) fn nothing_was_touched(case: &Case<'_>) {
    let answers = || case.world.version().filter(|it| it == "1.0.0");
    wait_for("1.0.0 answers", Duration::from_secs(30), answers);
    assert_eq!(case.world.demo(&["hash"])["content"], case.world.before["content"]);
}
