//! One folder for everything: Liftlock's programs, its home, Corner Shop, its PostgreSQL and its release server.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use liftlock_engine::Engine;
use liftlock_engine::state::home::Home;
use serde_json::Value;

use super::{Ends, SOON, built, until};

/// Orders to begin with: few, because what is tested is what the window says.
const ORDERS: &str = "300";

/// The folder, whether or not there is a shop in it yet. Its end is the end of everything that runs from it.
pub(crate) struct Shop {
    pub(crate) dir: PathBuf,
    guards: Vec<Ends>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.join("window.log")).unwrap_or_default();
            eprintln!("the program's own words:\n{log}");
        }
        self.guards.clear();
        let down = if std::thread::panicking() && std::env::var_os("LIFTLOCK_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
            vec!["down", "--hard"]
        } else {
            vec!["down", "--hard", "--remove"]
        };
        if self.world().is_dir() {
            self.end(self.demo_command(&["down", "--hard"]));
        }
        // What Liftlock's own programs left running from here, and the sample shop, which root has in another place.
        self.end(demo_command(&self.sample(), &down));
        self.end(demo_command(&self.dir, &down));
    }
}

impl Shop {
    fn end(&self, mut command: Command) {
        if let Ok(output) = command.output()
            && !output.status.success()
        {
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }

    pub(super) fn nowhere() -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-window-").tempdir().unwrap().keep();
        // PostgreSQL runs as a user of its own where we are root, and must reach its folder.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let mut shop = Self { dir, guards: Vec::new() };
        fs::create_dir(shop.dir.join("app")).unwrap();
        fs::create_dir_all(shop.dir.join("user/run")).unwrap();
        fs::set_permissions(shop.dir.join("user/run"), fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["liftlock", "liftlock-desktop", "liftlock-demo", "corner-shop"] {
            let (from, to) = (built().join(name), shop.dir.join("app").join(name));
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap();
        }
        for folder in [shop.dir.clone(), shop.sample()] {
            let mut guard = demo_command(&folder, &["guard"]);
            std::os::unix::process::CommandExt::process_group(&mut guard, 0);
            let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            shop.guards.push(Ends(guard));
        }
        shop
    }

    /// A shop of 1.0.0 that runs and that Liftlock looks after.
    pub(crate) fn open(&self) {
        self.open_as(str::to_owned, "");
    }

    /// The same under a profile that is changed first, with more in its settings.
    pub(crate) fn open_as(&self, change: impl FnOnce(&str) -> String, settings: &str) {
        self.demo(&["up", "--release", "1.0.0", "--orders", ORDERS]);
        let (profile, folder) = (self.world().join("corner-shop.toml"), self.world().join("shop"));
        fs::write(&profile, change(&fs::read_to_string(&profile).unwrap())).unwrap();
        let file = folder.join(".env");
        fs::write(&file, fs::read_to_string(&file).unwrap() + settings).unwrap();
        self.liftlock(&["add", profile.to_str().unwrap(), folder.to_str().unwrap()]);
    }

    pub(crate) fn publish(&self, releases: &[&str]) {
        if !releases.is_empty() {
            self.demo(&[&["publish"], releases].concat());
        }
    }

    /// Asks `liftlock-demo`.
    pub(crate) fn demo(&self, args: &[&str]) -> Value {
        let output = self.demo_command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "liftlock-demo {args:?}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    /// Asks the command line.
    pub(crate) fn liftlock(&self, args: &[&str]) -> Value {
        let output = self.command("liftlock", args).arg("--json").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "liftlock {args:?}: {said}{complained}");
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }

    /// Waits until the session of the desktop starts the window into the tray. The file is there before its text is.
    pub(crate) fn is_started_by_the_session(&self) {
        until("the entry of the session", SOON, || {
            let entry = fs::read_dir(self.dir.join("user/.config/autostart")).ok()?.flatten().next()?;
            fs::read_to_string(entry.path()).ok()?.contains("--tray").then_some(())
        });
    }

    /// Orders of the shop in this folder, asked of its own database.
    pub(crate) fn orders(&self, shop: &str) -> u64 {
        self.sql(shop, "SELECT count(*) FROM orders").parse().unwrap()
    }

    /// What the database of the shop in this folder answers.
    pub(crate) fn sql(&self, shop: &str, sql: &str) -> String {
        let settings = std::fs::read_to_string(self.dir.join(shop).join(".env")).unwrap();
        let url = settings.lines().find_map(|it| it.strip_prefix("DATABASE_URL=")).unwrap().trim();
        let (who, place) = url.rsplit_once('@').unwrap();
        let (who, password) = who.rsplit_once(':').unwrap();
        let asked = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align"])
            .arg(format!("--command={sql}"))
            .arg(format!("--dbname={who}@{place}"))
            .env("PGPASSWORD", password)
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql:.200}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// A program of ours as this user starts it.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.app(program));
        let user = self.dir.join("user");
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &user)
            .env("XDG_RUNTIME_DIR", user.join("run"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("LIFTLOCK_HOME", self.home())
            .current_dir(&user)
            .stdin(Stdio::null());
        command
    }

    /// Liftlock's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("liftlock-home")
    }

    /// Where the sample shop would be.
    pub(crate) fn sample(&self) -> PathBuf {
        Engine::at(Home::at(self.home())).sample_folder()
    }

    /// A program as it is installed here.
    pub(crate) fn app(&self, name: &str) -> PathBuf {
        self.dir.join("app").join(name)
    }

    /// A log in the folder, gone on with.
    pub(crate) fn log(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.dir.join(name)).unwrap()
    }

    /// Where the demo is.
    fn world(&self) -> PathBuf {
        self.dir.join("world")
    }

    fn demo_command(&self, args: &[&str]) -> Command {
        demo_command(&self.world(), args)
    }
}

fn demo_command(dir: &Path, args: &[&str]) -> Command {
    // From where it was built: ending the folder must not end whoever ends it.
    let mut command = Command::new(built().join("liftlock-demo"));
    let (verb, rest) = args.split_first().unwrap();
    command.arg(verb).arg("--dir").arg(dir).args(rest).stdin(Stdio::null());
    command
}
