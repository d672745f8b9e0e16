//! A report for those who help: a few files that say how Liftlock stands. It is shown whole before it is saved, and goes
//! nowhere by itself.
//!
//! Every text passes the mask of known secrets; the settings of all installations are read first, so that theirs are
//! known. Absent on purpose: the users' data, their profiles, names of tables, anything of a backup but its line.

use std::io::{Cursor, Write as _};
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::secrets::masked;
use crate::view::window::ReportFile;

/// So many lines of the history, newest first.
const OUTCOMES: usize = 50;
/// So many lines of the log of the newest update of each installation.
const LOG_LINES: usize = 300;

impl Engine {
    /// The files of the report, as they would be saved. What cannot be read is said in its place.
    ///
    /// # Errors
    /// Only where the state cannot be opened at all.
    pub fn report(&self) -> Result<Vec<ReportFile>> {
        let db = self.db()?;
        let installations = db.installations()?;
        for installation in &installations {
            // Their passwords are known from here on, and masked. One that cannot be opened has shown none either.
            let _ = self.site(installation);
        }
        let mut files = vec![
            file("liftlock.json", &json(&self.about())),
            file("findings.json", &json_of(self.doctor().map(|it| it.findings))),
            file("settings.json", &json_of(self.settings())),
            file("history.jsonl", &self.outcomes()?),
        ];
        for installation in &installations {
            let name = &installation.name;
            files.push(file(&format!("{name}/status.json"), &json_of(self.status(name))));
            let backups = self.backups(Some(name)).map(|it| it.0);
            files.push(file(&format!("{name}/backups.json"), &json_of(backups)));
            if let Some(newest) = db.newest_upgrade(name)? {
                let lines = db.log_lines(newest.id, 0, u32::MAX)?;
                let newest = &lines[lines.len().saturating_sub(LOG_LINES)..];
                let text: String = newest.iter().map(|(_, at, line)| format!("{} {line}\n", at.to_rfc3339())).collect();
                files.push(file(&format!("{name}/log.txt"), &text));
            }
        }
        Ok(files)
    }

    /// Saves the report as a zip archive.
    ///
    /// # Errors
    /// As [`Engine::report`]; what the disk answered.
    pub fn save_report(&self, target: &Path) -> Result<()> {
        let packed = pack(&self.report()?)
            .map_err(|cause| Error::bug("report", "The report could not be packed.").because(&cause))?;
        durable::write(target, &packed)
    }

    fn about(&self) -> serde_json::Value {
        json!({
            "liftlock": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "processor": std::env::consts::ARCH,
            "made_at": self.clock.now(),
            "lock": self.lock_state().is_ok_and(|it| it.set),
        })
    }

    fn outcomes(&self) -> Result<String> {
        let lines = self.history(None)?.outcomes;
        Ok(lines.iter().take(OUTCOMES).map(|it| format!("{it}\n")).collect())
    }
}

fn file(name: &str, text: &str) -> ReportFile {
    let preview = masked(text).into_owned();
    ReportFile { name: name.to_owned(), bytes: preview.len() as u64, preview }
}

fn json_of(answer: Result<impl Serialize>) -> String {
    match answer {
        Ok(answer) => json(&answer),
        Err(error) => json(&json!({ "could_not_be_read": { "class": error.class, "message": error.message } })),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|cause| cause.to_string(), |it| it + "\n")
}

fn pack(files: &[ReportFile]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(file.preview.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::state::home::Home;

    #[test]
    fn what_is_saved_is_what_was_shown_without_secrets() {
        let dir = tempfile::TempDir::new().unwrap();
        let engine = Engine::at(Home::at(dir.path().join("home")));
        let secret = "c4nary-Pa55word";
        crate::secrets::remember(secret);
        engine.choose("scratch_dir", Some(&format!("/{secret}"))).unwrap();

        let shown = engine.report().unwrap();
        let settings = shown.iter().find(|it| it.name == "settings.json").unwrap();
        assert!(settings.preview.contains("«redacted»"), "{}", settings.preview);
        let target = dir.path().join("report.zip");
        engine.save_report(&target).unwrap();

        let mut saved = zip::ZipArchive::new(std::fs::File::open(&target).unwrap()).unwrap();
        assert_eq!(saved.len(), shown.len());
        for file in &shown {
            let mut text = String::new();
            saved.by_name(&file.name).unwrap().read_to_string(&mut text).unwrap();
            assert!(!text.contains(secret), "{}", file.name);
            // The first says when it was made.
            assert!(text == file.preview || file.name == "liftlock.json", "{}", file.name);
        }
    }
}
