//! The new installation, made empty beside the old one: its folder, its release, its settings, its databases.
//!
//! Its settings are those of the old one; what names a database or the old folder names the new one instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{PURPOSE, Plan, Work, has_units};
use crate::archive::{self, Limits};
use crate::crash::{self, Moment};
use crate::drivers::{Errand, command};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::fresh::FreshState;
use crate::model::ids::FreshStartId;
use crate::model::profile::{EnvFile, FilePath, Store};
use crate::ports::Patience;
use crate::releases::{fetch, pin, recheck};
use crate::site::{Site, mark_release};
use crate::steps::commands::did_not_work;

/// Whether there can be a second installation, and its folder is free.
pub(super) fn expect_room(site: &Site, folder: &Path) -> Result<()> {
    if matches!(site.profile.driver, crate::model::profile::Driver::Compose(_)) {
        return Err(of_compose());
    }
    if has_units(site) {
        return Err(cannot(
            "it runs as a service of the system, and a second one can be set up by an administrator only",
        ));
    }
    if fs::symlink_metadata(folder).is_ok() {
        return Err(Error::refused("folder_taken", format!("There is something at {} already.", folder.display()))
            .remedy("Choose another folder for the new one with --folder."));
    }
    if folder.starts_with(&site.installation.folder) {
        return Err(Error::usage("bad_folder", "The new folder cannot be inside the old one.")
            .remedy("Choose another folder for the new one with --folder."));
    }
    Ok(())
}

fn cannot(why: &str) -> Error {
    Error::refused("cannot_make_beside", format!("Liftlock cannot install the new release beside the old one: {why}."))
        .remedy("Install it by hand as its makers say, and add it with `liftlock add`. Export first; stop the old one, keep its data.")
}

/// For each store that is a database the name of the one that is made.
pub(super) fn databases(site: &Site, line: &str, id: FreshStartId) -> Result<BTreeMap<String, String>> {
    let read = command::reader(&site.installation.folder);
    let mut named = BTreeMap::new();
    for store in &site.profile.stores {
        match store {
            Store::Postgres(it) => {
                let database = it.endpoint(&read)?.database;
                let is_settable = it
                    .connection
                    .references()
                    .filter(|(key, _)| matches!(*key, "url" | "database"))
                    .any(|(_, reference)| reference.file().and_then(FilePath::inside).is_some());
                if !is_settable {
                    return Err(cannot("the name of its database is not in a settings file of its folder"));
                }
                // A name is cut off at 63 bytes.
                let base: String = database.chars().take(36).collect();
                let line = line.replace('.', "_");
                named.insert(it.name.clone(), format!("{base}_v{line}_{}", id.short()));
            }
            Store::Sqlite(it) if Path::new(it.path.as_str()).is_absolute() => {
                return Err(cannot("its database file is outside of its folder"));
            }
            Store::Files(_) if store.path().is_none_or(|it| Path::new(it.as_str()).is_absolute()) => {
                return Err(cannot("its files are outside of its folder"));
            }
            Store::Sqlite(_) | Store::Files(_) => {}
        }
    }
    Ok(named)
}

/// Whether so much of it is there that it may have been started.
pub(super) fn is_made(plan: &Plan) -> bool {
    plan.born_with.is_some()
}

/// Fetches the release and installs it empty. Each act looks first.
pub(super) fn build(work: &mut Work<'_>) -> Result<()> {
    let old = work.old()?;
    let (to, folder) = (work.plan.to.clone(), work.plan.folder.clone());
    let cache = old.answers()?;
    let line = old.line(&cache, work.reporter);
    let source = old.source()?;
    let pinned = match work.plan.pinned.clone() {
        Some(pinned) => {
            recheck(&source, &pinned, &line)?;
            pinned
        }
        None => {
            let version = semver::Version::parse(&to)
                .map_err(|cause| Error::bug("bad_version", "A version was planned that is none.").because(&cause))?;
            pin(&source, &version, &line)?
        }
    };
    work.plan.pinned = Some(pinned.clone());
    work.advance(FreshState::Building)?;
    let fetched = fetch(&source, &pinned, &work.engine.home.downloads(), &line)?;
    crash::point("forward", "fresh_start/build", Moment::AfterIntent);

    if !durable::is_marked(&folder, PURPOSE) {
        // One that is there without our mark was made by somebody meanwhile.
        durable::create_marked_dir(&folder, PURPOSE)?;
    }
    let crate::model::profile::Driver::Native(layout) = &old.profile.driver else {
        return Err(of_compose());
    };
    let release = layout.releases.under(&folder).join(&to);
    if !release.is_dir() {
        durable::create_private_dir(durable::parent(&release)?)?;
        let part = durable::beside(&release, ".part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(|cause| Error::io("clear", &part, &cause))?;
        }
        archive::unpack(&fetched.path, &part, &Limits::default(), work.reporter)?;
        mark_release(&part, &fetched.sha256)?;
        fs::rename(&part, &release).map_err(|cause| Error::io("put in place", &release, &cause))?;
        durable::fsync_dir(durable::parent(&release)?)?;
    }
    settings(&old, &work.plan)?;
    for store in &old.profile.stores {
        match (store, store.path()) {
            (Store::Files(_), Some(path)) => durable::create_private_dir(&path.under(&folder))?,
            (Store::Sqlite(_), Some(path)) => durable::create_private_dir(durable::parent(&path.under(&folder))?)?,
            _ => {}
        }
    }
    let new = work.new_site()?;
    new.driver.switch(&to)?;
    expect_settings(&new, &to)?;
    crash::point("forward", "fresh_start/build", Moment::MidEffect);
    let mark = work.mark();
    for (store, database) in &work.plan.databases {
        if let Some(store) = old.stores.iter().find(|it| it.name() == store) {
            store.make_empty(database, &mark)?;
        }
    }
    give_to_owner(&old.installation.folder, &folder)?;
    migrate(&new, &to, &release, work)?;
    let mut born = BTreeMap::new();
    for store in &new.stores {
        born.insert(store.name().to_owned(), store.counts(work.reporter)?);
    }
    work.plan.born_with = Some(born);
    Ok(())
}

fn expect_settings(new: &Site, to: &str) -> Result<()> {
    let missing = new.missing_settings(to)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(file, it)| format!("{} in {file}", it.key)).collect();
    let folder = new.installation.folder.display();
    Err(Error::refused("setting_missing", format!("{to} needs settings that are not there: {}.", names.join(", ")))
        .remedy(format!("Add them to the file in {folder}, then go on with the fresh start.")))
}

/// Two projects of one application need different names, ports and volumes, which only its owner can choose.
fn of_compose() -> Error {
    Error::refused("cannot_make_beside", "Liftlock does not make a second compose project beside the old one.").remedy(
        "Export the data, set the new version up in a folder of its own as its makers say, add that, and import there.",
    )
}

fn migrate(new: &Site, to: &str, release: &Path, work: &Work<'_>) -> Result<()> {
    let Some(line) = new.profile.migrations.as_ref().and_then(|it| it.migrate.as_ref()) else { return Ok(()) };
    let place = command::Place { dir: &new.installation.folder, version: to, release };
    let limits = &new.profile.limits;
    let patience = Patience {
        deadline: limits.migrate_within,
        stall_after: Some(limits.stall_after.max(Duration::from_secs(60))),
    };
    let errand = Errand { place, variables: &[], network: None };
    let finished = new.driver.run(line, &errand, patience, &[], work.reporter)?;
    crash::point("forward", "fresh_start/build", Moment::AfterEffect);
    if finished.succeeded() {
        return Ok(());
    }
    Err(did_not_work("migration_failed", "Making the tables of the new release", &finished))
}

/// Writes each settings file of the old one into the new folder, unless it is there: a person may have added to it.
fn settings(old: &Site, plan: &Plan) -> Result<()> {
    let read = command::reader(&old.installation.folder);
    let mut renamed: Vec<(String, String)> = Vec::new();
    for store in &old.profile.stores {
        if let (Store::Postgres(it), Some(new)) = (store, plan.databases.get(store.name())) {
            renamed.push((it.endpoint(&read)?.database, new.clone()));
        }
    }
    for declared in &old.profile.settings {
        let (from, to) = (declared.file.under(&plan.old_folder), declared.file.under(&plan.folder));
        if to.exists() || !from.exists() {
            continue;
        }
        durable::create_private_dir(durable::parent(&to)?)?;
        let text = fs::read_to_string(&from).map_err(|cause| Error::io("read", &from, &cause))?;
        let text = rewritten(&text, &renamed, &plan.old_folder, &plan.folder);
        durable::write(&to, text.as_bytes())?;
    }
    Ok(())
}

/// Settings in which every address of a database, and every path into the old folder, leads to the new one.
fn rewritten(text: &str, renamed: &[(String, String)], old: &Path, new: &Path) -> String {
    let parsed = EnvFile::parse(text);
    let mut changes: Vec<(String, String)> = Vec::new();
    for (_, value) in parsed.entries() {
        let database = renamed.iter().find_map(
            |(from, to)| {
                if value == from { Some(to.clone()) } else { address(value, from, to) }
            },
        );
        let path = || {
            let inside = Path::new(value).strip_prefix(old).ok()?;
            let path = if inside.as_os_str().is_empty() { new.to_owned() } else { new.join(inside) };
            path.to_str().map(ToOwned::to_owned)
        };
        if let Some(changed) = database.or_else(path) {
            changes.push((value.to_owned(), changed));
        }
    }
    let line = |line: &str| {
        let Some((key, rest)) = line.split_once('=').filter(|_| !line.trim_start().starts_with('#')) else {
            return line.to_owned();
        };
        match changes.iter().find(|(from, _)| rest.trim().trim_matches(['"', '\'']) == from) {
            Some((from, to)) => format!("{key}={}", rest.replacen(from.as_str(), to, 1)),
            None => line.to_owned(),
        }
    };
    let ends = if text.ends_with('\n') { "\n" } else { "" };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + ends
}

/// The address of a database with another name in it; `None` where it is none of that database.
fn address(value: &str, from: &str, to: &str) -> Option<String> {
    let after_scheme = value.find("://")? + 3;
    if !value.starts_with("postgres") {
        return None;
    }
    let (main, query) = value.split_at(value.find('?').unwrap_or(value.len()));
    let slash = main[after_scheme..].rfind('/')? + after_scheme;
    if &main[slash + 1..] == from {
        return Some(format!("{}/{to}{query}", &main[..slash]));
    }
    let named = format!("dbname={from}");
    let whole = |at: usize| query[at + named.len()..].chars().next().is_none_or(|next| next == '&');
    let at = query.find(&named).filter(|at| whole(*at))?;
    Some(format!("{main}{}dbname={to}{}", &query[..at], &query[at + named.len()..]))
}

/// The new folder belongs to whom the old one belongs, where Liftlock runs as somebody else.
#[cfg(unix)]
fn give_to_owner(old: &Path, new: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, lchown};

    let owner = fs::metadata(old).map_err(|cause| Error::io("read", old, &cause))?;
    let ours = fs::metadata(new).map_err(|cause| Error::io("read", new, &cause))?;
    if (owner.uid(), owner.gid()) == (ours.uid(), ours.gid()) {
        return Ok(());
    }
    let mut open = vec![new.to_owned()];
    while let Some(path) = open.pop() {
        let failed = |cause: &std::io::Error| Error::io("give away", &path, cause);
        lchown(&path, Some(owner.uid()), Some(owner.gid())).map_err(|cause| failed(&cause))?;
        if fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir()) {
            for entry in fs::read_dir(&path).map_err(|cause| failed(&cause))? {
                open.push(entry.map_err(|cause| failed(&cause))?.path());
            }
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn give_to_owner(_old: &Path, _new: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lead_to_the_new_place_and_are_otherwise_as_they_were() {
        let old = "# the shop\nexport DATABASE_URL='postgres://u:p%2Fw@h:5432/shop?sslmode=require'\nA=\"postgresql+asyncpg://u@h/shop\"\n\
                   B=postgres://u@/other?dbname=shop&x=1\nC=postgres://u@h/shopping\nNAME=shop\nMEDIA=/srv/shop/media\nX=/srv/shopping\n#D=postgres://u@h/shop\n";
        let renamed = [("shop".to_owned(), "shop_v2_ab".to_owned())];
        let new = rewritten(old, &renamed, Path::new("/srv/shop"), Path::new("/srv/shop-v2"));
        assert_eq!(
            new,
            "# the shop\nexport DATABASE_URL='postgres://u:p%2Fw@h:5432/shop_v2_ab?sslmode=require'\nA=\"postgresql+asyncpg://u@h/shop_v2_ab\"\n\
             B=postgres://u@/other?dbname=shop_v2_ab&x=1\nC=postgres://u@h/shopping\nNAME=shop_v2_ab\nMEDIA=/srv/shop-v2/media\nX=/srv/shopping\n#D=postgres://u@h/shop\n"
        );
    }
}
