//! Real folders and processes; systemd is played by a runner that keeps what it is told.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::model::profile::Profile;
use crate::ports::{Finished, Invocation, Patience, Pipes, Runner, SignOfWork};
use crate::process::{Silent, SystemRunner};

const SHOP: &str = include_str!("../../profiles/corner-shop.toml");

fn profile(change: impl Fn(String) -> String) -> Profile {
    Profile::parse(&change(SHOP.to_owned())).unwrap()
}

/// An installation whose shop writes what it was started with to `started`, and then sleeps.
struct Shop {
    folder: tempfile::TempDir,
    native: Native,
}

const SERVE: &str = "#!/bin/sh\n\
    echo \"$0 $* port=$SHOP_PORT url=$DATABASE_URL mark=${LIFTLOCK_UPGRADE:-none}\" > started.new\n\
    mv started.new started\n\
    echo serving\n";

impl Shop {
    fn with(profile: &Profile, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        for version in ["1.0.0", "1.1.0"] {
            let bin = dir.join("releases").join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("corner-shop"), format!("{SERVE}{script}\n")).unwrap();
            fs::set_permissions(bin.join("corner-shop"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(dir.join(".env"), "SHOP_PORT=8080\nexport DATABASE_URL='postgres://a:b c@h/d' # x\n").unwrap();
        std::os::unix::fs::symlink("releases/1.0.0", dir.join("current")).unwrap();
        let native = native_of(profile, dir, Arc::new(SystemRunner::new()));
        Self { folder, native }
    }

    fn new() -> Self {
        Self::with(&profile(|it| it), "exec sleep 600")
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, gate: Gate) -> crate::error::Result<()> {
        self.native.start("shop", &[], gate, &Silent)
    }

    fn started(&self) -> String {
        let file = self.dir().join("started");
        until("the shop has started", || file.exists());
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        text.trim().to_owned()
    }

    fn record(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.dir().join("run/shop.json")).unwrap()).unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.native.stop("shop", &Silent);
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_switch_moves_the_link_and_nothing_else() {
    let shop = Shop::new();
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.0.0"));
    assert!(shop.native.is_fetched("1.1.0") && !shop.native.is_fetched("1.2.0"));
    shop.native.switch("1.1.0").unwrap();
    shop.native.switch("1.1.0").unwrap();
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.1.0"));
    assert_eq!(fs::read_link(shop.dir().join("current")).unwrap(), PathBuf::from("releases/1.1.0"));
    let mut names: Vec<_> = fs::read_dir(shop.dir()).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".env", "current", "releases"]);
}

#[test]
fn a_switch_that_was_cut_short_is_taken_up_again() {
    let shop = Shop::new();
    std::os::unix::fs::symlink("releases/gone", shop.dir().join("current.liftlock-next")).unwrap();
    shop.native.switch("1.1.0").unwrap();
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.1.0"));
    assert!(!shop.dir().join("current.liftlock-next").is_symlink());
}

#[test]
fn what_cannot_be_switched_is_refused_and_left_as_it_was() {
    let shop = Shop::new();
    assert_eq!(shop.native.switch("1.2.0").unwrap_err().class, "release_missing");
    for version in ["", "..", ".", "a/b", "../1.1.0", "/etc", ".hidden", "a\\b", "1.1.0/"] {
        assert_eq!(shop.native.switch(version).unwrap_err().class, "bad_version", "{version}");
    }
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.0.0"));

    let link = shop.dir().join("current");
    fs::remove_file(&link).unwrap();
    assert_eq!(shop.native.current_release().unwrap(), None);
    std::os::unix::fs::symlink("/usr/bin", &link).unwrap();
    assert_eq!(shop.native.current_release().unwrap_err().class, "pointer_strange");
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    assert_eq!(shop.native.switch("1.1.0").unwrap_err().class, "pointer_strange");
    assert!(link.is_dir(), "a folder that somebody made is never replaced");
}

#[test]
fn a_link_written_with_an_absolute_path_is_understood() {
    let shop = Shop::new();
    let link = shop.dir().join("current");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(shop.dir().join("releases/1.1.0"), &link).unwrap();
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.1.0"));
    shop.native.switch("1.0.0").unwrap();
    assert_eq!(shop.native.current_release().unwrap().as_deref(), Some("1.0.0"));
}

#[test]
fn a_component_is_started_with_its_settings_and_without_the_mark_of_an_upgrade() {
    let shop = Shop::new();
    assert!(!shop.native.is_running("shop", &Silent).unwrap());
    shop.start(Gate::Public).unwrap();
    assert_eq!(
        shop.started(),
        "current/bin/corner-shop serve port=8080 url=postgres://a:b c@h/d mark=none"
            .replace("current/bin", &shop.dir().join("current/bin").to_string_lossy())
    );
    assert!(shop.native.is_running("shop", &Silent).unwrap());
    let record = shop.record();
    assert_eq!(record.as_object().unwrap().keys().collect::<Vec<_>>(), ["pid", "started_at_ticks", "boot_id"]);
    until("it has spoken", || shop.native.last_words("shop", &Silent) == ["serving"]);

    shop.start(Gate::Public).unwrap();
    assert_eq!(shop.record(), record, "one that runs already is left alone");
    assert_eq!(shop.native.stop("shop", &Silent).unwrap(), Ending::Gently);
    assert!(!shop.native.is_running("shop", &Silent).unwrap());
    assert!(!shop.dir().join("run/shop.json").exists());
    assert_eq!(shop.native.stop("shop", &Silent).unwrap(), Ending::WasGone);
}

#[test]
fn behind_the_gate_only_the_port_differs_and_the_gate_cannot_be_changed_in_passing() {
    let shop = Shop::new();
    let over = [("DATABASE_URL".to_owned(), "postgres://copy".to_owned())];
    shop.native.start("shop", &over, Gate::Private(40123), &Silent).unwrap();
    assert!(shop.started().ends_with("port=40123 url=postgres://copy mark=none"));
    assert_eq!(shop.record()["private_port"], 40123);
    assert_eq!(shop.start(Gate::Public).unwrap_err().class, "already_running");
    shop.start(Gate::Private(40123)).unwrap();
    shop.native.stop("shop", &Silent).unwrap();
    shop.start(Gate::Public).unwrap();
    assert!(shop.started().contains("port=8080"));
}

#[test]
fn a_component_without_a_gate_is_not_started_on_a_private_port() {
    let shop = Shop::with(
        &profile(|it| {
            it.replace("name = \"shop\"\nrun", "name = \"worker\"\nrun")
                .replace("component = \"shop\"", "component = \"worker\"")
                + "\n[[components]]\nname = \"shop\"\nrun = { command = [\"current/bin/corner-shop\"] }\n"
        }),
        "exec sleep 600",
    );
    assert_eq!(shop.start(Gate::Private(4000)).unwrap_err().class, "gate_missing");
    assert!(!shop.native.is_running("shop", &Silent).unwrap());
}

#[test]
fn a_start_that_died_before_it_was_written_down_is_found_and_not_doubled() {
    let shop = Shop::new();
    shop.start(Gate::Public).unwrap();
    shop.started();
    let first: crate::process::Identity = serde_json::from_value(shop.record()).unwrap();
    // As if we had been killed between the start and the record.
    fs::remove_file(shop.dir().join("run/shop.json")).unwrap();
    assert!(shop.native.is_running("shop", &Silent).unwrap());
    shop.start(Gate::Public).unwrap();
    assert!(!first.is_alive(), "two shops on one database would be a disaster");
    assert!(shop.native.is_running("shop", &Silent).unwrap());
}

#[test]
fn a_record_of_another_process_with_the_same_pid_stops_nobody() {
    let shop = Shop::new();
    let mut me = serde_json::to_value(crate::process::Identity::of_self().unwrap()).unwrap();
    me["started_at_ticks"] = 1.into();
    fs::create_dir(shop.dir().join("run")).unwrap();
    fs::write(shop.dir().join("run/shop.json"), me.to_string()).unwrap();
    assert!(!shop.native.is_running("shop", &Silent).unwrap());
    assert_eq!(shop.native.stop("shop", &Silent).unwrap(), Ending::WasGone);
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_not_ignored() {
    let shop = Shop::new();
    fs::create_dir(shop.dir().join("run")).unwrap();
    fs::write(shop.dir().join("run/shop.json"), "{").unwrap();
    assert_eq!(shop.native.is_running("shop", &Silent).unwrap_err().class, "pid_record");
    assert_eq!(shop.start(Gate::Public).unwrap_err().class, "pid_record");
    fs::remove_file(shop.dir().join("run/shop.json")).unwrap();
}

#[test]
fn a_shop_that_does_not_want_to_stop_is_ended_with_its_children() {
    let impatient = profile(|it| it.replace("stop_within = \"30s\"", "stop_within = \"1s\""));
    let shop = Shop::with(&impatient, "trap '' TERM\nsleep 600 &\necho $! > child.new\nmv child.new child\nwait\nwait");
    shop.start(Gate::Public).unwrap();
    until("its child runs", || shop.dir().join("child").exists());
    let child = fs::read_to_string(shop.dir().join("child")).unwrap().trim().parse().unwrap();
    let child = crate::process::Identity::of(child).unwrap();
    assert_eq!(shop.native.stop("shop", &Silent).unwrap(), Ending::ByForce);
    assert!(!child.is_alive());
}

#[test]
fn a_program_that_is_missing_is_told_before_anything_runs() {
    let shop = Shop::new();
    fs::remove_file(shop.dir().join("releases/1.0.0/bin/corner-shop")).unwrap();
    assert_eq!(shop.start(Gate::Public).unwrap_err().class, "command_missing");
    fs::remove_file(shop.dir().join("current")).unwrap();
    assert_eq!(shop.start(Gate::Public).unwrap_err().class, "release_missing");
}

/// Plays systemd for one unit.
#[derive(Default)]
struct Systemd {
    said: Mutex<Vec<String>>,
    state: Mutex<BTreeMap<&'static str, String>>,
    /// Answers to the first word of a command other than `show`.
    fails: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Systemd {
    fn new(active: &str) -> Arc<Self> {
        let it = Self::default();
        *it.state.lock().unwrap() = BTreeMap::from([
            ("LoadState", "loaded".to_owned()),
            ("ActiveState", active.to_owned()),
            ("SubState", "running".to_owned()),
            ("UnitFileState", "enabled".to_owned()),
            ("Result", "success".to_owned()),
            ("ConditionResult", "yes".to_owned()),
        ]);
        Arc::new(it)
    }
    fn set(&self, key: &'static str, value: &str) {
        self.state.lock().unwrap().insert(key, value.to_owned());
    }
    fn said(&self) -> String {
        std::mem::take(&mut *self.said.lock().unwrap()).join("\n")
    }
}

impl Runner for Systemd {
    fn pipe(
        &self,
        invocation: &Invocation,
        _: Pipes<'_>,
        _: Patience,
        _: &[&dyn SignOfWork],
        _: &dyn Reporter,
    ) -> crate::error::Result<Finished> {
        let words: Vec<String> = invocation.args.iter().map(|it| it.to_str().unwrap().to_owned()).collect();
        let verb = words.iter().find(|it| !it.starts_with("--")).cloned().unwrap_or_default();
        let is_show = verb == "show";
        if !is_show {
            self.said.lock().unwrap().push(format!("{} {}", invocation.program.display(), words.join(" ")));
        }
        if let Some(words) = self.fails.lock().unwrap().get(verb.as_str()) {
            return Ok(Finished { code: Some(1), stdout: String::new(), stderr: (*words).to_owned() });
        }
        match verb.as_str() {
            "start" => self.set("ActiveState", "active"),
            "stop" => self.set("ActiveState", "inactive"),
            _ => {}
        }
        let shown = self.state.lock().unwrap().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        Ok(Finished {
            code: Some(0),
            stdout: if is_show { shown } else { "a log line\n".to_owned() },
            stderr: String::new(),
        })
    }
}

fn native_of(profile: &Profile, dir: &Path, runner: Arc<dyn Runner>) -> Native {
    let crate::model::profile::Driver::Native(layout) = &profile.driver else { panic!("not native") };
    Native::new(profile, layout, dir, runner)
}

struct UnitShop {
    folder: tempfile::TempDir,
    systemd: Arc<Systemd>,
    native: Native,
}

impl UnitShop {
    fn new(active: &str, scope: &str) -> Self {
        let run = format!("run = {{ unit = \"shop.service\", scope = \"{scope}\" }}");
        let profile = profile(|it| {
            it.replace("run = { command = [\"current/bin/corner-shop\", \"serve\"], env_file = \".env\" }", &run)
                .replace("socket = \"SHOP_SOCKET\"\n", "")
        });
        let (folder, systemd) = (tempfile::tempdir().unwrap(), Systemd::new(active));
        let folders = UnitFolders { settings: folder.path().join("settings"), runtime: folder.path().join("runtime") };
        fs::create_dir(&folders.runtime).unwrap();
        let native = native_of(&profile, folder.path(), Arc::<Systemd>::clone(&systemd)).unit_folders(folders);
        Self { folder, systemd, native }
    }
    /// Every file beside the unit, with its content.
    fn files(&self) -> String {
        let mut text = String::new();
        for folder in ["settings/shop.service.d", "runtime/liftlock"] {
            let mut names: Vec<_> = fs::read_dir(self.folder.path().join(folder))
                .into_iter()
                .flatten()
                .map(|it| it.unwrap().path())
                .collect();
            names.sort();
            for file in names {
                let content = fs::read_to_string(&file).unwrap();
                let shown = format!("== {}\n{content}", file.display());
                text.push_str(&shown.replace(self.folder.path().to_str().unwrap(), "~"));
            }
        }
        text
    }
}

#[test]
fn a_held_unit_starts_only_while_a_file_is_there_that_no_reboot_survives() {
    let shop = UnitShop::new("active", "user");
    let found = shop.native.autostart("shop", &Silent).unwrap();
    assert_eq!(shop.systemd.said(), "systemctl --user --no-ask-password --no-pager daemon-reload");
    assert_eq!(shop.files(), "", "asking leaves nothing behind");
    assert_eq!(found.0["unit_file_state"], "enabled");

    shop.native.hold_autostart("shop", &found, &Silent).unwrap();
    shop.native.hold_autostart("shop", &found, &Silent).unwrap();
    assert_eq!(shop.native.stop("shop", &Silent).unwrap(), Ending::Gently);
    insta::assert_snapshot!(shop.files(), @r"
    == ~/settings/shop.service.d/90-liftlock-hold.conf
    # Made by Liftlock for the time of an update. It is removed at the end.
    [Unit]
    ConditionPathExists=~/runtime/liftlock/shop.service.may-start
    ");
    insta::assert_snapshot!(shop.systemd.said(), @r"
    systemctl --user --no-ask-password --no-pager daemon-reload
    systemctl --user --no-ask-password --no-pager daemon-reload
    systemctl --user --no-ask-password --no-pager stop shop.service
    ");

    let over = [("DATABASE_URL".to_owned(), "postgres://a:\"$x`\\@h/d".to_owned())];
    shop.native.start("shop", &over, Gate::Private(40123), &Silent).unwrap();
    insta::assert_snapshot!(shop.files(), @r#"
    == ~/settings/shop.service.d/90-liftlock-hold.conf
    # Made by Liftlock for the time of an update. It is removed at the end.
    [Unit]
    ConditionPathExists=~/runtime/liftlock/shop.service.may-start
    == ~/settings/shop.service.d/91-liftlock-variables.conf
    # Made by Liftlock for the time of an update. It is removed at the end.
    [Service]
    EnvironmentFile=-~/runtime/liftlock/shop.service.env
    == ~/runtime/liftlock/shop.service.env
    # Made by Liftlock for the time of an update. It is removed at the end.
    DATABASE_URL="postgres://a:\"\$x\`\\@h/d"
    SHOP_PORT="40123"
    == ~/runtime/liftlock/shop.service.may-start
    # Made by Liftlock for the time of an update. It is removed at the end.
    "#);
    insta::assert_snapshot!(shop.systemd.said(), @r"
    systemctl --user --no-ask-password --no-pager daemon-reload
    systemctl --user --no-ask-password --no-pager reset-failed shop.service
    systemctl --user --no-ask-password --no-pager start shop.service
    ");
    shop.native.start("shop", &over, Gate::Private(40123), &Silent).unwrap();
    assert_eq!(shop.native.start("shop", &[], Gate::Public, &Silent).unwrap_err().class, "already_running");

    shop.native.stop("shop", &Silent).unwrap();
    shop.native.start("shop", &[], Gate::Public, &Silent).unwrap();
    assert!(!shop.files().contains("SHOP_PORT"), "{}", shop.files());
    shop.native.restore_autostart("shop", &found, &Silent).unwrap();
    shop.native.restore_autostart("shop", &found, &Silent).unwrap();
    assert_eq!(shop.files(), "");
    assert!(!shop.folder.path().join("settings/shop.service.d").exists());
}

#[test]
fn what_an_administrator_put_beside_a_unit_is_left_alone() {
    let shop = UnitShop::new("active", "system");
    let folder = shop.folder.path().join("settings/shop.service.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("10-memory.conf"), "[Service]\nMemoryMax=1G\n").unwrap();
    let found = shop.native.autostart("shop", &Silent).unwrap();
    assert_eq!(shop.systemd.said(), "systemctl --no-ask-password --no-pager daemon-reload");
    shop.native.hold_autostart("shop", &found, &Silent).unwrap();
    shop.native.restore_autostart("shop", &found, &Silent).unwrap();
    assert_eq!(shop.files(), "== ~/settings/shop.service.d/10-memory.conf\n[Service]\nMemoryMax=1G\n");
    fs::write(folder.join("90-liftlock-hold.conf"), "mine").unwrap();
    assert_eq!(shop.native.restore_autostart("shop", &found, &Silent).unwrap_err().class, "not_ours");
}

#[test]
fn a_unit_that_may_not_be_touched_does_not_stop_or_does_not_start_is_told_apart() {
    let shop = UnitShop::new("active", "system");
    let fails =
        |verb: &'static str, words: &'static str| *shop.systemd.fails.lock().unwrap() = BTreeMap::from([(verb, words)]);
    fails("stop", "Failed to stop shop.service: Interactive authentication required.");
    assert_eq!(shop.native.stop("shop", &Silent).unwrap_err().class, "no_right_to_hold");
    fails("stop", "Job for shop.service canceled.");
    let error = shop.native.stop("shop", &Silent).unwrap_err();
    assert_eq!((error.class.as_ref(), error.message.as_str()), ("stop_failed", "“shop” could not be stopped."));
    fails("daemon-reload", "Access denied");
    assert_eq!(shop.native.autostart("shop", &Silent).unwrap_err().class, "no_right_to_hold");

    shop.systemd.set("ActiveState", "inactive");
    fails("start", "Job failed.");
    let error = shop.native.start("shop", &[], Gate::Public, &Silent).unwrap_err();
    assert_eq!(error.class, "start_failed");
    assert!(error.details.contains(&"a log line".to_owned()), "{error:?}");

    shop.systemd.set("LoadState", "not-found");
    assert_eq!(shop.native.is_running("shop", &Silent).unwrap_err().class, "unit_missing");
    shop.systemd.state.lock().unwrap().clear();
    assert_eq!(shop.native.is_running("shop", &Silent).unwrap_err().class, "unit_not_answering");
}

#[test]
fn every_state_in_which_a_unit_has_processes_counts_as_running() {
    for (state, runs) in [
        ("active", true),
        ("activating", true),
        ("deactivating", true),
        ("reloading", true),
        ("inactive", false),
        ("failed", false),
    ] {
        let shop = UnitShop::new(state, "user");
        assert_eq!(shop.native.is_running("shop", &Silent).unwrap(), runs, "{state}");
    }
}
