//! What a test of the window stands on: a screen, a bus, a shop, and hands.

mod bus;
mod processes;
mod screen;
mod shop;
mod window;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use bus::{Bus, Hosts};
pub(crate) use processes::tree;
pub(crate) use screen::Screen;
pub(crate) use shop::Shop;
pub(crate) use window::Window;

/// Longer than anything quick takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Longer than a whole update of a small shop takes on a busy machine.
pub(crate) const UPDATE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(40);

/// The first answer that is something, or the end of the test with what was waited for.
pub(crate) fn until<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    seen_within(within, look).unwrap_or_else(|| panic!("not seen within {within:?}: {what}"))
}

/// The first answer that is something, or nothing after so long.
pub(crate) fn seen_within<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || begun.elapsed() > within {
            return seen;
        }
        std::thread::sleep(PAUSE);
    }
}

/// A desktop with Liftlock installed on it, in one folder, with nothing of this machine's user in it.
pub(crate) struct Desktop {
    pub(crate) screen: Screen,
    pub(crate) bus: Bus,
    pub(crate) shop: Shop,
}

impl Desktop {
    /// A full desktop, and a shop of 1.0.0 that Liftlock looks after, with these releases out.
    pub(crate) fn with(releases: &[&str]) -> Self {
        let desktop = Self::bare(Hosts::BOTH);
        desktop.shop.open();
        desktop.shop.publish(releases);
        desktop
    }

    /// Liftlock as it was just installed.
    pub(crate) fn bare(hosts: Hosts) -> Self {
        let shop = Shop::nowhere();
        let screen = Screen::new(&shop.dir);
        let bus = Bus::new(&shop.dir, hosts);
        Self { screen, bus, shop }
    }

    /// The program with a window, ready to be driven.
    pub(crate) fn open(&self) -> Window {
        Window::attach(self, self.program(&[]))
    }

    /// The program as its desktop entry starts it.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        self.named("liftlock-desktop", args)
    }

    /// Another program of this desktop.
    pub(crate) fn named(&self, name: &str, args: &[&str]) -> Command {
        let mut command = self.shop.command(name, args);
        command
            .env("DISPLAY", &self.screen.name)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus.address)
            .env("LIFTLOCK_LOG", "info")
            // Neither this user's settings nor a bus for screen readers.
            .env("GSETTINGS_BACKEND", "memory")
            .env("NO_AT_BRIDGE", "1")
            .stdout(Stdio::null())
            .stderr(self.shop.log("window.log"));
        command
    }
}

/// Ends what it holds with the test, however that ends.
pub(crate) struct Ends(pub(crate) Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that does not outlive the thread that starts it, even where nothing is left to end it.
pub(crate) fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Where screenshots go, to be looked at.
pub(crate) fn pictures() -> PathBuf {
    let folder = built().join("window-tests");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Where Cargo has put the programs; `LIFTLOCK_PROGRAMS` names those of another build.
pub(crate) fn built() -> PathBuf {
    let others = std::env::var_os("LIFTLOCK_PROGRAMS").map(PathBuf::from);
    others.unwrap_or_else(|| Path::new(env!("CARGO_BIN_EXE_liftlock-desktop")).parent().unwrap().to_owned())
}
