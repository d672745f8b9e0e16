//! What a machine must have beside Rust, Node and git, and how it gets it: from Debian's packages where this is
//! Debian or Ubuntu and we may install, else as a sentence that names what to install.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::{
    docker,
    run::{has, read, run},
};

/// Something a task needs, how it is recognised, and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// Its name in a sentence.
    pub(crate) what: &'static str,
    /// The Debian package.
    package: &'static str,
    /// Whether it is there.
    present: fn() -> bool,
}

/// A real server, its tools of the same version, and the user that it runs as.
pub(crate) const POSTGRESQL: Need =
    Need { what: "PostgreSQL (server and tools)", package: "postgresql", present: postgresql_is_installed };
/// A server of another family, which exports are read from.
pub(crate) const MARIADB: Need = Need { what: "MariaDB", package: "mariadb-server", present: mariadb_is_installed };
/// A C compiler, for SQLite and the cryptography library.
pub(crate) const C_COMPILER: Need = Need { what: "a C compiler", package: "build-essential", present: || has("cc") };
/// How libraries of the system are found by the compiler.
const PKG_CONFIG: Need = Need { what: "pkg-config", package: "pkg-config", present: || has("pkg-config") };
/// What the window is drawn with on Linux. Elsewhere it is part of the system.
const WEBKIT: Need = Need {
    what: "WebKitGTK 4.1 (development files)",
    package: "libwebkit2gtk-4.1-dev",
    present: || knows("webkit2gtk-4.1"),
};
/// The tray on Linux, loaded when the window's program starts.
const TRAY: Need = Need {
    what: "Ayatana application indicators",
    package: "libayatana-appindicator3-dev",
    present: || knows("ayatana-appindicator3-0.1"),
};
/// What building all of the workspace takes on Linux.
pub(crate) const TO_BUILD: [Need; 4] = [C_COMPILER, PKG_CONFIG, WEBKIT, TRAY];
/// A screen without a display, for the tests of the real window.
pub(crate) const XVFB: Need = Need { what: "Xvfb", package: "xvfb", present: || has("Xvfb") };
/// Drives the real window.
pub(crate) const WEBDRIVER: Need =
    Need { what: "WebKitWebDriver", package: "webkit2gtk-driver", present: || has("WebKitWebDriver") };
/// A session bus, for the tray, notifications and the single instance.
pub(crate) const DBUS: Need = Need { what: "a D-Bus daemon", package: "dbus", present: || has("dbus-daemon") };
/// Ends a process at its n-th write, for the crash tests.
pub(crate) const STRACE: Need = Need { what: "strace", package: "strace", present: || has("strace") };
/// Private networks and sockets, for the tests of cut connections.
pub(crate) const IPROUTE: Need = Need { what: "ip and ss", package: "iproute2", present: || has("ip") && has("ss") };

/// A keychain of a desktop, and what puts a secret into one.
pub(crate) const KEYRING: Need =
    Need { what: "GNOME Keyring", package: "gnome-keyring", present: || has("gnome-keyring-daemon") };
pub(crate) const SECRET_TOOL: Need =
    Need { what: "secret-tool", package: "libsecret-tools", present: || has("secret-tool") };

/// Opens encrypted backups, as somebody without Liftlock does.
pub(crate) const AGE: Need = Need { what: "age", package: "age", present: || has("age") && has("age-keygen") };
/// Fetches what only the Python package index has: a newer PostgreSQL.
pub(crate) const PIP: Need = Need { what: "pip", package: "python3-pip", present: has_pip };
/// Makes environments of Python, as applications in it are installed.
pub(crate) const VENV: Need = Need { what: "venv of Python", package: "python3-venv", present: has_venv };
/// A browser, for the tests of the window's screens.
pub(crate) const CHROMIUM: Need = Need { what: "Chromium", package: "chromium", present: || has("chromium") };
/// A spreadsheet, which opens exports as people do.
pub(crate) const SPREADSHEET: Need =
    Need { what: "LibreOffice Calc", package: "libreoffice-calc-nogui", present: || has("soffice") };
/// Letters and pictures that the window's own font lacks.
pub(crate) const FONTS: Need =
    Need { what: "DejaVu fonts", package: "fonts-dejavu-core", present: || has_font("truetype/dejavu") };

/// Whether a library can be built with.
fn knows(library: &str) -> bool {
    Command::new("pkg-config").args(["--exists", library]).status().is_ok_and(|it| it.success())
}

fn has_pip() -> bool {
    let mut asked = Command::new("python3");
    asked.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|it| it.success())
}

fn has_venv() -> bool {
    // Debian has the one without the other, which installs pip into the environment.
    let mut asked = Command::new("python3");
    asked.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|it| it.success())
}

fn has_font(folder: &str) -> bool {
    Path::new("/usr/share/fonts").join(folder).is_dir()
}

fn mariadb_is_installed() -> bool {
    // Debian keeps it out of the PATH of users.
    (Path::new("/usr/sbin/mariadbd").is_file() || has("mariadbd")) && has("mariadb-install-db")
}

fn postgresql_is_installed() -> bool {
    if cfg!(target_os = "linux") {
        // Debian keeps server binaries out of PATH, one folder a major version.
        std::fs::read_dir("/usr/lib/postgresql")
            .is_ok_and(|dirs| dirs.flatten().any(|dir| dir.path().join("bin/initdb").is_file()))
            || has("initdb")
    } else {
        has("initdb")
    }
}

/// Installs what is missing of `needs`, and Docker; answers a sentence.
///
/// # Errors
/// Something is missing and cannot be installed from here: the sentence names it.
pub(crate) fn provide_with_docker(needs: &[Need]) -> Result<String> {
    let said = provide(needs)?;
    Ok(match docker::provide()? {
        Some(installed) => format!("{said}; {installed}"),
        None => said,
    })
}

/// Installs what is missing of `needs`; answers a sentence.
///
/// # Errors
/// Something is missing and cannot be installed from here: the sentence names it.
pub(crate) fn provide(needs: &[Need]) -> Result<String> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok("nothing is missing".to_owned());
    }
    let named = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !has("apt-get") {
        bail!(
            "missing: {named}. Install it with the package manager of this system and put it in PATH, then try again."
        );
    }
    install(&packages)?;
    let still: Vec<&str> = missing.iter().filter(|need| !(need.present)()).map(|need| need.what).collect();
    if !still.is_empty() {
        bail!("{} was installed, but {} is still not to be found", packages.join(" "), still.join(", "));
    }
    Ok(format!("installed {}", packages.join(" ")))
}

/// Installs Debian packages; once more after a failure, because another apt may hold the lists.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let once = || {
        update_lists()?;
        run(apt_get()?
            .args(["install", "--quiet=2", "--yes", "--no-install-recommends"])
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(packages))
    };
    once().or_else(|first| {
        eprintln!("{first:#}; trying once more");
        once()
    })
}

/// Fetches the package lists of this machine.
///
/// # Errors
/// Neither root nor `sudo`, or no mirror answers.
pub(crate) fn update_lists() -> Result<()> {
    run(apt_get()?.args(["update", "--quiet=2"]))
}

/// `apt-get`, through `sudo` where we are not root.
fn apt_get() -> Result<Command> {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else if has("sudo") {
        let mut sudo = Command::new("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("packages are missing and this user may not install them: run the task as root once, or install sudo");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    Path::new("/proc/self").exists() && read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
