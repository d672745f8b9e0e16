//! Makes what Tauri needs at compile time.

use std::{fs, path::Path};

/// Shown where the interface was not built before the program: a developer's mistake, said in the window.
const NOT_BUILT: &str = "<!doctype html><title>Liftlock</title><p>The interface was not built: run <code>npm install &amp;&amp; npm run build</code> in the folder <code>ui</code>, then build again.</p>";

fn main() {
    let page = Path::new("../ui/dist/index.html");
    if !page.exists()
        && let Some(folder) = page.parent()
        && fs::create_dir_all(folder).is_ok()
    {
        // If this fails too, Tauri says what is missing.
        let _ = fs::write(page, NOT_BUILT);
    }
    println!("cargo::rerun-if-changed=../ui/dist");
    tauri_build::build();
}
