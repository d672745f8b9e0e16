//! Type-checks the engine and the command line for Windows and macOS from a machine that is neither.
//!
//! Nothing is linked, so no foreign toolchain is needed: only the standard library of each target. Where rustup
//! has it, it is used. Elsewhere it is built from source, from rustup's `rust-src` or from Debian's package of
//! exactly our compiler's version, with stand-ins for the C compilers of those systems.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::update_lists,
    parts::Parts,
    run::{cache_dir, cargo, has, packages, read, run, target_dir},
};

const TARGETS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// Suites of Debian that carry current compilers, the likeliest first.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// Stands in for a C compiler, librarian or assembler: every output that it is asked for is an empty file.
const STAND_IN: &str = r#"#!/bin/sh
case "$*" in
    *--version*) echo "stand-in 1.0"; exit 0 ;;
esac
next=
for word in "$@"; do
    if [ -n "$next" ]; then : > "$word"; next=; continue; fi
    case "$word" in
        -o) next=1 ;;
        -Fo*|/Fo*) : > "${word#???}" ;;
        -out:*|/out:*|-OUT:*|/OUT:*) : > "${word#?????}" ;;
        *.a|*.lib) : > "$word" ;;
    esac
done
"#;

/// One part a target.
pub(crate) fn check(parts: &mut Parts) {
    let mut ready = None;
    parts.part("standard library of other systems", || {
        let compiler = Compiler::ask()?;
        let (library, said) = library(&compiler)?;
        ready = Some(library);
        Ok(said)
    });
    for target in TARGETS {
        parts.part(&format!("check for {target}"), || {
            let library = ready.as_ref().context("there is no standard library for it, see above")?;
            check_one(target, library).map(|()| String::new())
        });
    }
}

/// What is known of the compiler in use.
#[derive(Debug)]
struct Compiler {
    /// `1.95.0`
    release: String,
    /// `x86_64-unknown-linux-gnu`
    host: String,
    sysroot: PathBuf,
}

impl Compiler {
    fn ask() -> Result<Self> {
        let verbose = read(Command::new("rustc").arg("-vV"))?;
        let field = |name: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .with_context(|| format!("rustc -vV does not tell its {name}"))
        };
        Ok(Self {
            release: field("release:")?,
            host: field("host:")?,
            sysroot: PathBuf::from(read(Command::new("rustc").args(["--print", "sysroot"]))?.trim()),
        })
    }

    fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib").join("rustlib")
    }
}

/// How the standard library of a target is had.
#[derive(Debug)]
enum Library {
    /// rustup installed it for every target.
    Installed,
    /// It is built from source by this compiler: the toolchain's own, or one that is told of the sources.
    FromSource { rustc: Option<PathBuf> },
}

/// Finds or fetches the standard library; answers a sentence with it.
fn library(compiler: &Compiler) -> Result<(Library, String)> {
    if TARGETS.iter().all(|target| compiler.rustlib().join(target).is_dir()) {
        return Ok((Library::Installed, "installed by rustup".to_owned()));
    }
    if compiler.rustlib().join("src/rust/library/Cargo.lock").is_file() {
        return Ok((Library::FromSource { rustc: None }, "sources installed by rustup".to_owned()));
    }
    if !has("apt-get") || !has("dpkg-deb") {
        bail!(
            "neither the standard libraries nor their sources are here, and this is no Debian to take them from. \
             Install them with: rustup target add {}",
            TARGETS.join(" ")
        );
    }
    let sources = debian_sources(&compiler.release)?;
    let rustc = compiler_with_sources(compiler, &sources)?;
    Ok((Library::FromSource { rustc: Some(rustc) }, format!("sources of Rust {} from Debian", compiler.release)))
}

fn check_one(target: &str, library: &Library) -> Result<()> {
    let dir = target_dir().join("targets");
    let variable = target.replace('-', "_");
    let mut command = cargo();
    command.args(["check", "--quiet", "--target", target]);
    command.args(packages(&["liftlock-engine", "liftlock", "liftlock-sqlserver"]));
    command.arg("--target-dir").arg(&dir);
    // What only another system warns of would be seen by nobody here.
    command.args(["-Zwarnings", "--config", "build.warnings='deny'"]).env("RUSTC_BOOTSTRAP", "1");
    if cfg!(target_os = "linux") {
        let stand_in = script(&dir, "cc", STAND_IN)?;
        for tool in ["CC", "CXX", "AR"] {
            command.env(format!("{tool}_{variable}"), &stand_in);
        }
        // Given, so that nobody looks for Apple's.
        command.env("SDKROOT", &dir);
    }
    if let Library::FromSource { rustc } = library {
        command.arg("-Zbuild-std=std,panic_unwind");
        if let Some(rustc) = rustc {
            command.env("RUSTC", rustc);
        }
    }
    run(&mut command)
}

/// A compiler that finds the sources of the standard library: the toolchain itself is left as it is.
fn compiler_with_sources(compiler: &Compiler, sources: &Path) -> Result<PathBuf> {
    let dir = target_dir().join("targets");
    let sysroot = dir.join(format!("sysroot-{}", compiler.release));
    let rustlib = sysroot.join("lib").join("rustlib");
    fs::create_dir_all(rustlib.join("src"))?;
    link(&compiler.rustlib().join(&compiler.host), &rustlib.join(&compiler.host))?;
    link(sources, &rustlib.join("src").join("rust"))?;
    let rustc = compiler.sysroot.join("bin").join("rustc");
    let text = format!("#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n", rustc.display(), sysroot.display());
    script(&dir, "rustc", &text)
}

/// The sources of the standard library of `release`, in the cache of this machine.
fn debian_sources(release: &str) -> Result<PathBuf> {
    let cache = cache_dir()?;
    let home = cache.join(format!("rust-src-{release}"));
    if home.join("library/Cargo.lock").is_file() {
        return Ok(home);
    }
    // Filled beside its place and moved there in one act: whoever finds it finds it whole.
    let work = tempfile::tempdir_in(&cache)?;
    let package = download(release, work.path())?;
    let unpacked = work.path().join("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked))?;
    let library = unpacked.join(format!("usr/src/rustc-{release}/library"));
    ensure!(library.join("Cargo.lock").is_file(), "Debian's rust-src {release} does not hold library/Cargo.lock");
    let whole = work.path().join("whole");
    fs::create_dir_all(&whole)?;
    fs::rename(&library, whole.join("library"))?;
    match fs::rename(&whole, &home) {
        Err(_) if home.join("library/Cargo.lock").is_file() => {} // Another run was quicker.
        moved => moved.with_context(|| format!("could not fill {}", home.display()))?,
    }
    Ok(home)
}

/// Downloads Debian's `rust-src` of `release` with package lists of our own: the machine's are not touched.
fn download(release: &str, work: &Path) -> Result<PathBuf> {
    let mirror = debian_mirror()?;
    for suite in SUITES {
        let dir = work.join(suite);
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("archives/partial"))?;
        fs::write(
            dir.join("sources.list"),
            format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n"),
        )?;
        let apt = |program: &str| {
            let mut apt = Command::new(program);
            apt.arg("-o").arg(format!("Dir::Etc::SourceList={}", dir.join("sources.list").display()));
            apt.args(["-o", "Dir::Etc::SourceParts=/dev/null", "-o", "APT::Sandbox::User=root"]);
            apt.arg("-o").arg(format!("Dir::State::Lists={}", dir.join("lists").display()));
            apt.arg("-o").arg(format!("Dir::Cache={}", dir.display()));
            apt.current_dir(&dir);
            apt
        };
        if let Err(error) = run(apt("apt-get").args(["--quiet=2", "update"])) {
            eprintln!("{error:#}");
            continue;
        }
        let versions = read(apt("apt-cache").args(["madison", "rust-src"]))?;
        let wanted = versions.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).find(|version| {
            version
                .strip_prefix(release)
                .is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_digit() || it == '.'))
        });
        let Some(version) = wanted else { continue };
        run(apt("apt-get").args(["--quiet=2", "download", &format!("rust-src={version}")]))?;
        let package =
            fs::read_dir(&dir)?.flatten().map(|it| it.path()).find(|it| it.extension() == Some("deb".as_ref()));
        return package.context("apt said it had downloaded rust-src, but there is no package");
    }
    bail!(
        "Debian has no rust-src {release} in {}. Install the libraries with: rustup target add {}",
        SUITES.join(" or "),
        TARGETS.join(" ")
    )
}

/// The mirror of Debian that this machine already uses.
fn debian_mirror() -> Result<String> {
    let ask = || -> Result<Option<String>> {
        let format = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)";
        let listed = read(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
        Ok(listed.lines().find_map(|line| line.strip_suffix("|Debian|Debian|main")).map(str::to_owned))
    };
    if let Some(mirror) = ask()? {
        return Ok(mirror);
    }
    update_lists()?;
    ask()?.context("no mirror of Debian in this machine's apt sources to take the standard library from")
}

/// Writes a script unless it is there already: Cargo takes a new time stamp for a new compiler.
fn script(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(path);
    }
    fs::create_dir_all(dir)?;
    fs::write(&path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|there| there == original) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(original, link).with_context(|| format!("could not link {}", link.display()))
}

#[cfg(not(unix))]
fn link(_: &Path, link: &Path) -> Result<()> {
    bail!("could not link {}: this needs a Unix system", link.display())
}
