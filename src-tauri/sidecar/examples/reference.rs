//! Writes the reference pages into the folder that is named: `cargo xtask docs` runs it.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("name the folder to write to"));
    };
    std::fs::write(folder.join("commands.md"), liftlock_cli::command_reference())?;
    std::fs::write(folder.join("json.md"), liftlock_cli::json_reference())
}
