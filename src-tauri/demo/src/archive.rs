//! Builds what a release consists of, as a folder or as an archive.
//!
//! The same release always gives the same bytes. The program is stripped once and archives are kept
//! beside it, named by what is in them, because every test wants them.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::Release;
use crate::docker::{images, project};

/// Nobody is in the middle of building something that old.
const SWEPT_AFTER: Duration = Duration::from_secs(60 * 60);

/// What a release is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// To be run, or to lie beside images that its makers have published.
    Program,
    /// To have images built from it.
    Source,
}

/// One file of a release.
#[derive(Debug)]
struct Part {
    path: String,
    mode: u32,
    content: Vec<u8>,
}

/// Writes a release as a folder that can run.
///
/// # Errors
/// The program is not built, or the folder cannot be written.
pub fn unpacked(release: &Release, folder: &Path, form: Form) -> Result<()> {
    for part in parts(release, 0, form)? {
        let path = folder.join(&part.path);
        fs::create_dir_all(path.parent().context("a part has a folder")?)?;
        fs::write(&path, &part.content).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(part.mode))?;
    }
    Ok(())
}

/// Path of the release's archive, built when nobody has built it yet. Another `generation` of the same
/// release differs in one small file, as a tag that was moved does.
///
/// # Errors
/// The program is not built, or there is no room.
pub fn packed(release: &Release, generation: u32, form: Form) -> Result<PathBuf> {
    let parts = parts(release, generation, form)?;
    let mut digest = Sha256::new();
    for part in &parts {
        digest.update(format!("{} {:o} {}\n", part.path, part.mode, part.content.len()));
        digest.update(&part.content);
    }
    let path = store()?.join(format!("corner-shop-{}-{}.tar.gz", release.version, &hex(&digest.finalize())[..16]));
    if path.is_file() {
        return Ok(path);
    }
    let mut file = tempfile::NamedTempFile::new_in(store()?)?;
    let mut archive = tar::Builder::new(GzEncoder::new(&mut file, Compression::fast()));
    let mut append = |path: &str, mode, content: &[u8], kind| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1_760_000_000);
        header.set_entry_type(kind);
        archive.append_data(&mut header, path, content)
    };
    let top = format!("corner-shop-{}", release.version);
    for folder in ["", "/bin", "/migrations"] {
        append(&format!("{top}{folder}/"), 0o755, &[], tar::EntryType::Directory)?;
    }
    for part in &parts {
        append(&format!("{top}/{}", part.path), part.mode, &part.content, tar::EntryType::Regular)?;
    }
    archive.into_inner()?.finish()?.flush()?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(path)
}

/// An archive that harms whoever unpacks it without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Hostile {
    /// A path that climbs out of the folder.
    Climb,
    /// A path from the root.
    Absolute,
    /// A link to a folder elsewhere, and a file behind it.
    Link,
    /// A device.
    Device,
    /// The same path twice.
    Twice,
    /// Far larger than it looks.
    Bomb,
}

/// An archive of this kind that calls itself the release's. Whoever is taken in by it finds a file called
/// `liftlock-was-here` where none belongs.
///
/// # Errors
/// There is no room.
pub fn hostile(release: &Release, kind: Hostile) -> Result<PathBuf> {
    use tar::EntryType::{Block, Regular, Symlink};

    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    // Written by hand, because the library refuses such names for good reason.
    let mut append = |path: &str, kind, link: &str, content: &[u8], zeros: u64| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64 + zeros);
        header.set_cksum();
        archive.append(&header, content.chain(std::io::repeat(0).take(zeros)))
    };
    let top = format!("corner-shop-{}", release.version);
    append(&format!("{top}/VERSION"), Regular, "", format!("{}\n", release.version).as_bytes(), 0)?;
    let harm = b"harm\n";
    match kind {
        Hostile::Climb => append(&format!("{top}/../../../liftlock-was-here"), Regular, "", harm, 0)?,
        Hostile::Absolute => append("/tmp/liftlock-was-here", Regular, "", harm, 0)?,
        Hostile::Link => {
            append(&format!("{top}/way-out"), Symlink, "/tmp", &[], 0)?;
            append(&format!("{top}/way-out/liftlock-was-here"), Regular, "", harm, 0)?;
        }
        Hostile::Device => append(&format!("{top}/disk"), Block, "", &[], 0)?,
        Hostile::Twice => append(&format!("{top}/VERSION"), Regular, "", harm, 0)?,
        Hostile::Bomb => append(&format!("{top}/zeros"), Regular, "", &[], 512 << 20)?,
    }
    let content = archive.into_inner()?.finish()?;
    let path = store()?.join(format!("corner-shop-{}-{}.tar.gz", release.version, &sha256(&content)[..16]));
    let mut file = tempfile::NamedTempFile::new_in(store()?)?;
    file.write_all(&content)?;
    file.persist(&path)?;
    Ok(path)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn parts(release: &Release, generation: u32, form: Form) -> Result<Vec<Part>> {
    let text = |path: &str, content: String| Part { path: path.to_owned(), mode: 0o644, content: content.into_bytes() };
    let described = serde_json::to_string_pretty(&release.behaviour)? + "\n";
    let mut parts = vec![
        Part { path: "bin/corner-shop".to_owned(), mode: 0o755, content: fs::read(program()?)? },
        text("VERSION", format!("{}\n", release.version)),
        text("release.json", described),
        text(".env.example", release.example_settings()),
        text(
            "compose.yaml",
            project::file(release, &images::database_name().unwrap_or_else(|_| images::DATABASE.into()), form),
        ),
        text("compose.env.example", project::example_settings(release)),
    ];
    for migration in &release.migrations {
        parts.push(text(&format!("migrations/{}.sql", migration.name), migration.sql.to_owned()));
    }
    if form == Form::Source {
        parts.push(text("Dockerfile", images::dockerfile(release)));
        parts.push(text(".gitignore", "/.env\n/data\n/faults\n".to_owned()));
    }
    if generation > 0 {
        parts.push(text("BUILD", format!("built again, {generation}\n")));
    }
    Ok(parts)
}

/// The stripped program: `corner-shop` beside this one, or the one that `CORNER_SHOP` names.
fn program() -> Result<PathBuf> {
    let built = match std::env::var_os("CORNER_SHOP") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("corner-shop"),
    };
    let content = fs::read(&built)
        .with_context(|| format!("{} is not built: run `cargo build --package liftlock-demo`", built.display()))?;
    let stripped = store()?.join(format!("corner-shop-{}", &sha256(&content)[..16]));
    if !stripped.is_file() {
        sweep(&store()?)?;
        let file = tempfile::NamedTempFile::new_in(store()?)?;
        let made = Command::new("strip").arg("-o").arg(file.path()).arg(&built).output();
        if !made.is_ok_and(|it| it.status.success()) {
            fs::write(file.path(), &content)?;
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o755))?;
        file.persist(&stripped)?;
    }
    Ok(stripped)
}

/// Removes what earlier builds have left; nobody needs it, because every demo keeps what it shows.
fn sweep(store: &Path) -> Result<()> {
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        let age = fs::metadata(&path).and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
        if age.is_some_and(|age| age > SWEPT_AFTER) {
            // Another build may be sweeping too.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Where built things are kept: beside the program, as its other build products, or in a temporary folder where
/// somebody else has built it.
fn store() -> Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("corner-shop-releases");
    if fs::create_dir_all(&beside).is_ok() && tempfile::tempfile_in(&beside).is_ok() {
        return Ok(beside);
    }
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("corner-shop-releases-{user}"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}
