//! The demo to click through: Corner Shop runs, 1.1.0 is out, and the real window is open on it.

use std::{
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    machine::{POSTGRESQL, TO_BUILD, provide},
    parts::Parts,
    run::{build, has_display, target_dir},
    ui,
    world::World,
};

/// Orders in the shop: enough to see each phase pass, few enough not to wait for it.
const ORDERS: u32 = 20_000;
/// The good release that waits.
const RELEASE: &str = "1.1.0";

/// Opens the window on the sample shop and stays until it is quit.
pub(crate) fn open(parts: &mut Parts) {
    let shown = parts.part("a display for the window", || {
        ensure!(
            has_display(),
            "this terminal has no display (neither DISPLAY nor WAYLAND_DISPLAY is set): \
             `cargo xtask demo --headless` tells the same story without a window"
        );
        Ok(String::new())
    });
    if !shown {
        return;
    }
    let provided = parts.part("what the demo needs", || {
        let needs = if cfg!(target_os = "linux") { TO_BUILD.as_slice() } else { &[] };
        provide(&[needs, &[POSTGRESQL]].concat())
    });
    let bundled = ui::bundle_if_older(parts);
    let built = parts.part("build", || build(&["liftlock", "liftlock-sqlserver", "liftlock-demo", "liftlock-desktop"]));
    if provided && bundled && built {
        parts.part("the window", stay);
    }
}

fn stay() -> Result<String> {
    let world = World::with(ORDERS, "debug")?;
    world.demo(&["publish", RELEASE])?;
    world.liftlock_ok(&["check", "--releases"])?;
    let program = installed(&world.dir.join("app"))?;
    eprintln!("\nCorner Shop 1.0.0 runs and {RELEASE} is out. Three clicks: Update, Update now, Done.");
    eprintln!("Other releases, good and bad: docs/demo.md, with --dir {}", world.dir.display());
    eprintln!("Quit Liftlock, or press Ctrl-C here, and everything is taken away again.");
    let mut window = Command::new(program)
        .env("LIFTLOCK_HOME", world.dir.join("liftlock-home"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not open the window")?;
    // In the tray it goes on as another process, which inherits this end: it closes when the last of them is gone.
    let mut silence = Vec::new();
    window.stdout.take().context("the window has no voice")?.read_to_end(&mut silence)?;
    let status = window.wait()?;
    ensure!(status.success(), "the window ended with {status}");
    Ok("quit".to_owned())
}

/// The window's program and its worker inside the demo's folder, where whatever ends the demo finds all that runs.
fn installed(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for name in ["liftlock", "liftlock-sqlserver", "liftlock-desktop"] {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        let (from, to) = (target_dir().join("debug").join(&name), folder.join(&name));
        // Between two disks nothing can be linked.
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).context(name)?;
    }
    Ok(folder.join(format!("liftlock-desktop{}", env::consts::EXE_SUFFIX)))
}
