//! The rescue kit: beside every backup, a page in plain words and scripts that restore it without Liftlock.
//!
//! They need PostgreSQL's own tools and what every system has, restore into *new* databases and folders, and compare
//! the rows with what was counted. They are made from the manifest, whose names may be anything: each is quoted for
//! where it stands, and a table whose name could not stand on one line is left out of the comparison. Absent on
//! purpose: roles and rights, which a new server does not know; what is restored belongs to whoever restores it.

use std::fmt::Write as _;
use std::path::Path;

use crate::backups::Manifest;
use crate::durable;
use crate::error::Result;
use crate::space::human;
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::{Dumped, StoreKind};

const PAGE: &str = "RESTORE.html";
const SHELL: &str = "restore.sh";
/// What a double click on macOS runs.
const COMMAND: &str = "restore.command";
const POWERSHELL: &str = "restore.ps1";

/// Every file of the kit.
pub(super) const FILES: [&str; 4] = [PAGE, SHELL, COMMAND, POWERSHELL];

/// Writes the kit of the backup that is being made in `folder`.
///
/// # Errors
/// What the disk answered.
pub(super) fn write(folder: &Path, manifest: &Manifest) -> Result<()> {
    durable::write(&folder.join(PAGE), page(manifest).as_bytes())?;
    let shell = shell(manifest);
    for name in [SHELL, COMMAND] {
        durable::write(&folder.join(name), shell.as_bytes())?;
        executable(&folder.join(name))?;
    }
    durable::write(&folder.join(POWERSHELL), powershell(manifest).as_bytes())
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(|cause| crate::error::Error::io("write", path, &cause))
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> Result<()> {
    Ok(())
}

fn is_sealed(manifest: &Manifest) -> bool {
    manifest.stores.iter().any(|it| it.sealed.is_some())
}

/// A word of a shell, whatever is in it.
fn sh(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A string of PowerShell, whatever is in it.
fn ps(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What a dump of PostgreSQL tells about its database.
struct Database<'d> {
    name: &'d str,
    encoding: &'d str,
    /// Options of `createdb` that give it the locale it had.
    locale: Vec<String>,
    server: &'d str,
}

fn database(dumped: &Dumped) -> Database<'_> {
    let dump = dumped.facts.get("dump");
    let text = |path: &str| dump.and_then(|it| it.pointer(path)).and_then(|it| it.as_str()).unwrap_or_default();
    let mut locale =
        vec![format!("--lc-collate={}", text("/shape/collate")), format!("--lc-ctype={}", text("/shape/ctype"))];
    match text("/shape/provider") {
        "i" => locale.extend(["--locale-provider=icu".to_owned(), format!("--icu-locale={}", text("/shape/name"))]),
        "b" => {
            locale
                .extend(["--locale-provider=builtin".to_owned(), format!("--builtin-locale={}", text("/shape/name"))]);
        }
        _ => {}
    }
    Database {
        name: text("/shape/database"),
        encoding: text("/shape/encoding"),
        locale,
        server: text("/server_version"),
    }
}

/// One statement a table that prints its name where its rows are not those of the backup.
fn comparison(dumped: &Dumped) -> String {
    let mut sql = String::from("SET row_security = off;\n");
    for (table, rows) in &dumped.counts {
        if table.chars().any(char::is_control) {
            continue;
        }
        let quoted = match table.split_once('.') {
            Some((schema, name)) if !table.contains('"') => format!("{}.{}", ident(schema), ident(name)),
            _ => table.clone(),
        };
        let _ = writeln!(sql, "SELECT {} WHERE (SELECT count(*) FROM ONLY {quoted}) <> {rows};", literal(table));
    }
    sql
}

fn shell(manifest: &Manifest) -> String {
    let mut script = include_str!("begin.sh").to_owned();
    if is_sealed(manifest) {
        script.push_str("\nneed age \"age from https://age-encryption.org\"\n");
    }
    for dumped in &manifest.stores {
        let (store, file) = (sh(&dumped.store), sh(&dumped.file));
        let _ = match dumped.kind {
            StoreKind::Postgres => {
                let it = database(dumped);
                let locale: Vec<_> = it.locale.iter().map(|it| sh(it)).collect();
                write!(
                    script,
                    "\nrestore_database {store} {file} {} {} {} <<'LIFTLOCK_ROWS'\n{}LIFTLOCK_ROWS\n",
                    sh(&format!("{}_restored", it.name)),
                    sh(it.encoding),
                    locale.join(" "),
                    comparison(dumped)
                )
            }
            StoreKind::Sqlite => write!(script, "\nrestore_file {store} {file}\n"),
            StoreKind::Files => write!(script, "\nrestore_folder {store} {file}\n"),
        };
    }
    for globals in manifest.stores.iter().filter_map(Dumped::globals) {
        let _ = writeln!(script, "\nroles {}", sh(&globals.file));
    }
    script.push_str("\necho\necho \"Done. Everything is there. Point the application at what was restored.\"\n");
    script
}

fn powershell(manifest: &Manifest) -> String {
    // Without this mark, Windows PowerShell takes the file for one of its old character set.
    let mut script = format!("\u{feff}{}", include_str!("begin.ps1"));
    for dumped in &manifest.stores {
        let (store, file, raw) = (ps(&dumped.store), ps(&dumped.file), dumped.raw_bytes);
        let sha = ps(&dumped.sha256);
        let _ = match dumped.kind {
            StoreKind::Postgres => {
                let it = database(dumped);
                write!(
                    script,
                    "\nRestore-Database {store} {file} {sha} {raw} {} {} @'\n{}'@\n",
                    ps(&format!("{}_restored", it.name)),
                    ps(it.encoding),
                    comparison(dumped)
                )
            }
            StoreKind::Sqlite => write!(script, "\nRestore-File {store} {file} {sha} {raw}\n"),
            StoreKind::Files => write!(script, "\nRestore-Folder {store} {file} {sha}\n"),
        };
    }
    for globals in manifest.stores.iter().filter_map(Dumped::globals) {
        let _ = writeln!(script, "\nShow-Roles {}", ps(&globals.file));
    }
    script.push_str("\nWrite-Host 'Done. Everything is there. Point the application at what was restored.'\n");
    script
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(manifest: &Manifest) -> String {
    let mut parts = String::new();
    let mut by_hand = String::new();
    let mut server = "";
    for dumped in &manifest.stores {
        let rows: u64 = dumped.counts.values().sum();
        let what = match dumped.kind {
            StoreKind::Postgres => format!("a PostgreSQL database with {rows} rows"),
            StoreKind::Sqlite => format!("a SQLite database with {rows} rows"),
            StoreKind::Files => format!("a folder with {rows} files"),
        };
        let _ = writeln!(parts, "<li><code>{}</code>: {what}, {}</li>", html(&dumped.file), human(dumped.bytes));
        if let Some(globals) = dumped.globals() {
            let _ = writeln!(
                parts,
                "<li><code>{}</code>: the roles of the server, without passwords. No script runs it: where the application \
                 needs them, look at it first, then run what of it you want with <code>psql</code></li>",
                html(&globals.file)
            );
        }
        let file = sh(&dumped.file);
        let unpacked = match &dumped.sealed {
            Some(_) => format!("age -d {file} | gunzip -c"),
            None => format!("gunzip -c {file}"),
        };
        let lines = match dumped.kind {
            StoreKind::Postgres => {
                let it = database(dumped);
                server = it.server;
                let new = sh(&format!("{}_restored", it.name));
                format!(
                    "createdb {new}\n{unpacked} | pg_restore --exit-on-error --no-owner --no-privileges --dbname {new}"
                )
            }
            StoreKind::Sqlite => format!("{unpacked} > {}", sh(&format!("{}.sqlite", dumped.store))),
            StoreKind::Files => {
                let folder = sh(&format!("{}_restored", dumped.store));
                format!("mkdir {folder}\n{unpacked} | tar -xf - -C {folder}")
            }
        };
        let _ = writeln!(by_hand, "{}", html(&lines));
    }
    let needs = match server.split(['.', ' ']).next().unwrap_or_default() {
        "" => "Nothing has to be installed for this.".to_owned(),
        major => format!(
            "You need PostgreSQL {major} or newer: its server, running, and its tools <code>createdb</code>, \
             <code>pg_restore</code> and <code>psql</code>."
        ),
    };
    let sealed = if is_sealed(manifest) {
        "The files are encrypted. You need <a href=\"https://age-encryption.org\">age</a> and the passphrase, for which it asks, \
         or the file with the secret key: then set <code>AGE_KEY</code> to its path first, and by hand write \
         <code>age -d -i KEYFILE</code>. Without passphrase or key nobody can open them."
    } else {
        ""
    };
    include_str!("page.html")
        .replace("{application}", &html(&manifest.application))
        .replace("{installation}", &html(manifest.installation.as_str()))
        .replace("{version}", &html(manifest.version.as_deref().unwrap_or("not known")))
        .replace("{made}", &manifest.made_at.format("%Y-%m-%d %H:%M UTC").to_string())
        .replace("{liftlock}", &html(&manifest.liftlock))
        .replace("{needs}", &needs)
        .replace("{sealed}", sealed)
        .replace("{parts}", &parts)
        .replace("{by_hand}", &by_hand)
}
