//! The world that the demo and the figures are played in: a folder with Corner Shop, its PostgreSQL, its release
//! server and a Liftlock home of its own. Everything is asked of programs that print JSON; nothing knows the engine.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{read, target_dir};

/// The demo's folder and its programs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    bin: PathBuf,
    /// `DOCKER_HOST` of everybody here, where the shop runs in containers.
    pub(crate) docker_host: Option<String>,
    /// What Liftlock calls the shop.
    pub(crate) name: String,
    /// Whether the folder outlives this.
    pub(crate) is_kept: bool,
    /// Ends everything when this process is gone without having done it, whatever ended it.
    guard: Option<Child>,
}

/// Whatever happened, no server stays behind.
impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // From here on this process does it itself.
            let _ = guard.kill();
            let _ = guard.wait();
        }
        let remove: &[&str] = if self.is_kept { &["down"] } else { &["down", "--remove"] };
        if let Err(error) = self.demo(remove) {
            eprintln!("the demo in {} could not be ended: {error:#}", self.dir.display());
        }
    }
}

impl World {
    /// A shop of release 1.0.0 with so many orders that runs and that Liftlock looks after; the programs are those
    /// of a profile of Cargo.
    pub(crate) fn with(orders: u32, profile: &str) -> Result<Self> {
        Self::made(orders, profile, None, &[])
    }

    /// The same in containers of this engine, from images that are there or that are built from a checkout.
    pub(crate) fn in_containers(orders: u32, profile: &str, docker_host: &str, is_built: bool) -> Result<Self> {
        let kind: &[&str] = if is_built { &["--compose", "--built"] } else { &["--compose"] };
        Self::made(orders, profile, Some(docker_host.to_owned()), kind)
    }

    fn made(orders: u32, profile: &str, docker_host: Option<String>, kind: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("liftlock-demo-").tempdir()?.keep();
        // PostgreSQL runs as a user of its own where we are root, and must reach its folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        }
        let bin = target_dir().join(profile);
        let mut world = Self { dir, bin, docker_host, name: String::new(), is_kept: false, guard: None };
        world.guard = Some(world.guard()?);
        let orders = orders.to_string();
        let up = world.demo(&[&["up", "--release", "1.0.0", "--orders", &orders], kind].concat())?;
        let added = world.liftlock_ok(&["add", text(&up, "profile")?, text(&up, "install_dir")?])?;
        added["name"].as_str().context("`liftlock add` does not tell the name")?.clone_into(&mut world.name);
        Ok(world)
    }

    /// Asks `liftlock-demo` for one document.
    pub(crate) fn demo(&self, args: &[&str]) -> Result<Value> {
        let (command, rest) = args.split_first().context("a command")?;
        let said = read(self.program("liftlock-demo").arg(command).arg("--dir").arg(&self.dir).args(rest))
            .with_context(|| format!("liftlock-demo {}", args.join(" ")))?;
        document(&said).with_context(|| format!("liftlock-demo {}", args.join(" ")))
    }

    /// Runs `liftlock`; its exit code and its last document.
    pub(crate) fn liftlock(&self, args: &[&str]) -> Result<(i32, Value)> {
        let output = self.program("liftlock").args(args).arg("--json").stdin(Stdio::null()).output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code().unwrap_or(-1);
        let answer = document(&stdout).with_context(|| {
            format!("liftlock {} ended with {code}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((code, answer))
    }

    pub(crate) fn liftlock_ok(&self, args: &[&str]) -> Result<Value> {
        match self.liftlock(args)? {
            (0, answer) => Ok(answer),
            (code, answer) => bail!("liftlock {} ended with {code}: {answer}", args.join(" ")),
        }
    }

    /// Starts a shopper who places so many orders a second until told to leave.
    pub(crate) fn shopper(&self, rate: u32) -> Result<Shopper> {
        let path = self.dir.join("shopper.json");
        let child = self
            .program("liftlock-demo")
            .arg("shop")
            .arg("--dir")
            .arg(&self.dir)
            .args(["--with-caller", "--seconds", "0", "--rate", &rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(File::create(&path)?)
            .stderr(Stdio::inherit())
            .spawn()
            .context("could not start the shopper")?;
        Ok(Shopper { child, path })
    }

    /// In a process group of its own: a Ctrl-C on the terminal is meant for us and not for it.
    fn guard(&self) -> Result<Child> {
        let mut command = self.program("liftlock-demo");
        command.arg("guard").arg("--dir").arg(&self.dir);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let streams = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        streams.spawn().context("could not start the guard of the demo")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(format!("{name}{}", env::consts::EXE_SUFFIX)));
        command.env("LIFTLOCK_HOME", self.dir.join("liftlock-home"));
        if let Some(host) = &self.docker_host {
            command.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
        }
        command
    }
}

/// A shopper in the background.
#[derive(Debug)]
pub(crate) struct Shopper {
    child: Child,
    path: PathBuf,
}

impl Shopper {
    /// Tells it to leave, and answers what it found: it compares its own list with the shop's.
    pub(crate) fn leave(mut self) -> Result<Value> {
        // It orders for as long as its standard input is open.
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                bail!("the shopper did not come to an end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        document(&fs::read_to_string(&self.path)?).context("the shopper")
    }
}

/// The last document of an output: one document over several lines, or one a line.
fn document(said: &str) -> Result<Value> {
    let mut found = None;
    for document in serde_json::Deserializer::from_str(said).into_iter::<Value>() {
        found = Some(document.with_context(|| format!("not JSON: {said}"))?);
    }
    found.context("no answer")
}

/// A text in a document.
pub(crate) fn text<'a>(document: &'a Value, key: &str) -> Result<&'a str> {
    document[key].as_str().with_context(|| format!("no `{key}` in {document}"))
}
