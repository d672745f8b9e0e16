//! Draws every size of the icons from their SVG sources: `cargo xtask icons`, after one of these was changed. The
//! results are committed, so that a build needs none of these programs (librsvg2-bin, icoutils, icnsutils).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::run::run;

/// Sizes in pixels of the application's icon. Those below 24 have a source of their own, without the cabin.
const SIZES: [u32; 8] = [16, 24, 32, 48, 64, 128, 256, 512];
/// What an .icns file may hold.
const MACOS_SIZES: [u32; 6] = [16, 32, 48, 128, 256, 512];
/// The states of the tray, and for which ground; macOS tints its templates itself.
const STATES: [&str; 4] = ["fine", "update", "working", "needs-you"];
const GROUNDS: [(&str, u32); 3] = [("light", 32), ("dark", 32), ("template", 44)];

/// Draws them all into `icons/`.
pub(crate) fn draw(root: &Path) -> Result<()> {
    let icons = root.join("icons");
    let sized = |size: u32| icons.join(format!("{size}x{size}.png"));
    for size in SIZES {
        let source = if size < 24 { "icon-small.svg" } else { "icon.svg" };
        render(&icons.join(source), size, &sized(size))?;
    }
    render(&icons.join("icon.svg"), 256, &icons.join("128x128@2x.png"))?;
    render(&icons.join("icon.svg"), 1024, &icons.join("icon.png"))?;
    let several = |sizes: &[u32]| -> Vec<PathBuf> { sizes.iter().map(|&size| sized(size)).collect() };
    run(Command::new("icotool").args(["--create", "--output"]).arg(icons.join("icon.ico")).args(several(&SIZES[..7])))?;
    run(Command::new("png2icns").arg(icons.join("icon.icns")).args(several(&MACOS_SIZES)))?;
    for state in STATES {
        for (ground, size) in GROUNDS {
            let name = icons.join("tray").join(format!("{state}-{ground}"));
            render(&name.with_extension("svg"), size, &name.with_extension("png"))?;
        }
    }
    Ok(())
}

fn render(source: &Path, size: u32, target: &Path) -> Result<()> {
    let size = size.to_string();
    run(Command::new("rsvg-convert").args(["--width", &size, "--height", &size, "--output"]).arg(target).arg(source))
}
