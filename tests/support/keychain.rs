//! GNOME Keyring on a session bus of its own: the keychain of a Linux desktop, with nothing of this user in it.

#![allow(dead_code, reason = "shared by several test binaries, which use a part each")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// No service is started by being asked for: nothing of this machine's desktop comes along.
const BUS: &str = include_str!("session-bus.conf");

/// The keychain, unlocked.
pub(crate) struct Keychain {
    folder: tempfile::TempDir,
    bus: String,
    daemons: Vec<Ends>,
}

/// Ends what it holds with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Keychain {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("bus.conf");
        fs::write(&configuration, BUS.replace("FOLDER", &folder.path().display().to_string())).unwrap();
        let mut command = tied("dbus-daemon");
        command.arg("--config-file").arg(&configuration).args(["--nofork", "--print-address=1"]);
        let mut daemon = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let bus = line(&mut daemon);
        let daemon = Ends(daemon);

        let mut command = tied("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets", "--control-directory"]).arg(folder.path());
        at_home(&mut command, folder.path().into(), &bus);
        let mut keyring = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        keyring.stdin.take().unwrap().write_all(b"the password of the login").unwrap();
        let _ = line(&mut keyring);
        let keychain = Self { folder, bus, daemons: vec![Ends(keyring), daemon] };
        keychain.until_it_answers();
        keychain
    }

    /// The variable by which it is found.
    pub(crate) fn variables(&self) -> [(&str, &str); 1] {
        [("DBUS_SESSION_BUS_ADDRESS", &self.bus)]
    }

    /// Puts a secret into it, as our message tells people to.
    pub(crate) fn put(&self, name: &str, secret: &str) {
        let mut command = self.command("secret-tool");
        command.args(["store", "--label=Liftlock", "service", "liftlock", "username", name]);
        let mut storing = command.stdin(Stdio::piped()).spawn().unwrap();
        storing.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        assert!(storing.wait().unwrap().success());
    }

    /// Nobody answers any more: the desktop has ended.
    pub(crate) fn end(&mut self) {
        self.daemons.clear();
    }

    pub(crate) fn lock(&self) {
        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
        let answer = self.call("org.freedesktop.Secret.Service.Lock", &[login]);
        assert!(answer, "it does not let itself be locked");
    }

    /// Its name on the bus comes after its first words.
    fn until_it_answers(&self) {
        let begun = std::time::Instant::now();
        while !self.call("org.freedesktop.DBus.Peer.Ping", &[]) {
            assert!(begun.elapsed().as_secs() < 30, "the keychain does not answer");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn call(&self, method: &str, words: &[&str]) -> bool {
        let mut command = self.command("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]);
        let output = command.arg(method).args(words).output().unwrap();
        output.status.success()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        at_home(&mut command, self.folder.path().into(), &self.bus);
        command
    }
}

fn at_home(command: &mut Command, folder: PathBuf, bus: &str) {
    command
        .env("HOME", &folder)
        .env("XDG_DATA_HOME", &folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env("DBUS_SESSION_BUS_ADDRESS", bus);
}

/// A program that does not outlive the thread that starts it.
fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
