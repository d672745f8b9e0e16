//! What wakes Liftlock for what is due when no window is open: the operating system's own timer.
//!
//! A user timer of systemd, a LaunchAgent, or a task of Windows, each running `liftlock tick` every quarter of an hour
//! and once after a sleep. It is put in place with the first schedule or maintenance window and removed with the last. Where the
//! system has none that works, the tray process looks instead, and the answer says so. Absent on purpose: times of
//! its own; what is due is decided by each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest;
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ports::{Invocation, Patience, Runner};
use crate::process::{Silent, SystemRunner};
use crate::view::TimerView;

/// The first line of every file that we put into the system's folders.
const OURS: &str = "Made by Liftlock. `liftlock backup schedule --off` and `liftlock unattended --off` remove it.";
const ASKED: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };

/// The systems that have a timer for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Systemd,
    Launchd,
    Windows,
}

fn system() -> Option<System> {
    if cfg!(windows) {
        // A task has no variables of its own, so it would look in the usual home.
        std::env::var_os("LIFTLOCK_HOME").is_none().then_some(System::Windows)
    } else if cfg!(target_os = "macos") {
        Some(System::Launchd)
    } else {
        crate::process::find_program(Path::new("systemctl")).map(|_| System::Systemd)
    }
}

impl Engine {
    /// Puts the timer in place where something is scheduled, and removes it where nothing is. Repeatable.
    ///
    /// # Errors
    /// The program is missing; a file cannot be written. That the system does not take the timer is no error: the view
    /// says that the tray process looks instead.
    pub fn fit_timer(&self) -> Result<TimerView> {
        let wanted =
            !self.backup_schedules()?.is_empty() || self.is_any_upgrade_scheduled()? || !self.unattended()?.is_empty();
        let runner = SystemRunner::new();
        let Some(system) = system() else { return Ok(tray(wanted, "This system has no timer for users.")) };
        if !wanted {
            self.remove_timer(system, &runner)?;
            return Ok(TimerView { by: "none".to_owned(), why: None, files: Vec::new() });
        }
        let files = self.timer_files(system)?;
        for (path, text) in &files {
            let folder = durable::parent(path)?;
            fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, &cause))?;
            durable::write(path, text.as_bytes())?;
        }
        match tell(&runner, self.commands(system, true)?) {
            Ok(()) => Ok(TimerView {
                by: by(system).to_owned(),
                why: None,
                files: files.iter().map(|it| it.0.display().to_string()).collect(),
            }),
            Err(why) => {
                self.remove_timer(system, &runner)?;
                Ok(tray(wanted, &why))
            }
        }
    }

    fn remove_timer(&self, system: System, runner: &dyn Runner) -> Result<()> {
        let files = self.timer_files(system)?;
        if system != System::Windows && !files.iter().any(|it| it.0.exists()) {
            return Ok(());
        }
        // One that was never started cannot be stopped, and need not.
        let _ = tell(runner, self.commands(system, false)?);
        for (path, _) in files {
            let is_ours = fs::read_to_string(&path).is_ok_and(|it| it.contains(OURS));
            if is_ours {
                fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, &cause))?;
            }
        }
        if system == System::Systemd {
            let _ = tell(runner, vec![systemctl(&["daemon-reload"])]);
        }
        Ok(())
    }

    /// Two homes of one user have a timer each.
    fn timer_name(&self) -> String {
        let home = digest::sha256(self.home().as_os_str().as_encoded_bytes());
        format!("liftlock-backups-{}", home.get(..8).unwrap_or_default())
    }

    fn timer_files(&self, system: System) -> Result<Vec<(PathBuf, String)>> {
        let name = self.timer_name();
        Ok(match system {
            System::Systemd => {
                let folder = settings_folder()?.join("systemd/user");
                // A dollar sign begins a variable in a command, and is a plain letter elsewhere.
                let program = systemd_quoted(&self.worker_program()?.display().to_string()).replace('$', "$$");
                let home = systemd_quoted(&format!("LIFTLOCK_HOME={}", self.home().display()));
                let service = format!(
                    "# {OURS}\n[Unit]\nDescription=What is due in Liftlock\n\n[Service]\nType=oneshot\nKillMode=process\n\
                     Environment={home}\nExecStart={program} tick --quiet\nNice=10\nIOSchedulingClass=best-effort\n\
                     IOSchedulingPriority=7\n"
                );
                let timer = format!(
                    "# {OURS}\n[Unit]\nDescription=Looks whether something is due in Liftlock\n\n[Timer]\n\
                     OnCalendar=*:0/15\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
                );
                vec![(folder.join(format!("{name}.service")), service), (folder.join(format!("{name}.timer")), timer)]
            }
            System::Launchd => {
                let folder = home_folder()?.join("Library/LaunchAgents");
                let (program, home) =
                    (xml(&self.worker_program()?.display().to_string()), xml(&self.home().display().to_string()));
                let text = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {OURS} -->\n\
                     <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
                     <plist version=\"1.0\"><dict>\n<key>Label</key><string>{name}</string>\n<key>ProgramArguments</key><array>\
                     <string>{program}</string><string>tick</string><string>--quiet</string></array>\n\
                     <key>EnvironmentVariables</key><dict><key>LIFTLOCK_HOME</key><string>{home}</string></dict>\n\
                     <key>StartInterval</key><integer>900</integer>\n<key>AbandonProcessGroup</key><true/>\n<key>RunAtLoad</key><true/>\n<key>LowPriorityIO</key><true/>\n\
                     <key>ProcessType</key><string>Background</string>\n</dict></plist>\n"
                );
                vec![(folder.join(format!("{name}.plist")), text)]
            }
            System::Windows => Vec::new(),
        })
    }

    fn commands(&self, system: System, on: bool) -> Result<Vec<Invocation>> {
        let name = self.timer_name();
        Ok(match (system, on) {
            (System::Systemd, true) => {
                vec![systemctl(&["daemon-reload"]), systemctl(&["enable", "--now", &format!("{name}.timer")])]
            }
            (System::Systemd, false) => vec![systemctl(&["disable", "--now", &format!("{name}.timer")])],
            (System::Launchd, true) => {
                let file = home_folder()?.join("Library/LaunchAgents").join(format!("{name}.plist"));
                vec![Invocation::new("launchctl").args(["load", "-w"]).arg(file)]
            }
            (System::Launchd, false) => {
                let file = home_folder()?.join("Library/LaunchAgents").join(format!("{name}.plist"));
                vec![Invocation::new("launchctl").args(["unload", "-w"]).arg(file)]
            }
            (System::Windows, true) => {
                let run = format!("\"{}\" tick --quiet", self.worker_program()?.display());
                let words = ["/Create", "/F", "/SC", "MINUTE", "/MO", "15", "/TN", &name, "/TR", &run];
                vec![Invocation::new("schtasks").args(words)]
            }
            (System::Windows, false) => vec![Invocation::new("schtasks").args(["/Delete", "/F", "/TN", &name])],
        })
    }
}

fn by(system: System) -> &'static str {
    match system {
        System::Systemd => "systemd",
        System::Launchd => "launchd",
        System::Windows => "task_scheduler",
    }
}

fn tray(wanted: bool, why: &str) -> TimerView {
    TimerView {
        by: if wanted { "tray" } else { "none" }.to_owned(),
        why: wanted.then(|| why.to_owned()),
        files: Vec::new(),
    }
}

fn systemctl(words: &[&str]) -> Invocation {
    Invocation::new("systemctl").args(["--user", "--no-ask-password", "--no-pager"]).args(words).quiet()
}

/// Runs them in order; the answer is why one did not work.
fn tell(runner: &dyn Runner, commands: Vec<Invocation>) -> std::result::Result<(), String> {
    for command in commands {
        let finished = runner.run(&command, ASKED, &[], &Silent).map_err(|error| error.message)?;
        if !finished.succeeded() {
            let said = finished.stderr.lines().last().unwrap_or("It gave no reason.").trim().to_owned();
            return Err(format!("The system's timer was refused: {said}"));
        }
    }
    Ok(())
}

fn home_folder() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|it| it.is_absolute()).ok_or_else(|| {
        Error::refused("no_home", "It is not known where this user's own files are.")
            .remedy("Set HOME, then try again.")
    })
}

fn settings_folder() -> Result<PathBuf> {
    match std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|it| it.is_absolute()) {
        Some(folder) => Ok(folder),
        None => Ok(home_folder()?.join(".config")),
    }
}

/// A word of a unit file, whatever is in it.
fn systemd_quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_odd_letters_stay_one_word() {
        assert_eq!(systemd_quoted(r#"/home/a b/50%/"x"/$y"#), r#""/home/a b/50%%/\"x\"/$y""#);
        assert_eq!(xml("/a&b/<c>"), "/a&amp;b/&lt;c&gt;");
    }
}
