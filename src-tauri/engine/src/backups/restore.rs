//! Going back to a backup: into something new beside every live store, then all change places, or none.
//!
//! The application is stopped by the caller, who writes the plan into the journal before the first act and
//! can go on, or back, from wherever an interruption left it. The live stores are kept aside.

use crate::backups::{Backup, check};
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::{Aside, AsideState, DataStore};

/// How every store of the backup would change places under `id`. Changes nothing.
///
/// # Errors
/// `store_unknown` where the backup holds what the installation does not know, `store_immutable` for one that does not
/// change places; why one cannot.
pub fn plan_restore(backup: &Backup, stores: &[&dyn DataStore], id: &str) -> Result<Vec<(String, Aside)>> {
    let planned = backup.manifest.stores.iter().map(|dumped| {
        let store = find(stores, &dumped.store)?;
        if !store.changes_places() {
            return Err(Error::refused(
                "store_immutable",
                format!("“{}” is only listed, never replaced.", dumped.store),
            )
            .remedy("Take single files from the backup by hand."));
        }
        Ok((dumped.store.clone(), store.plan_aside(id)?))
    });
    planned.collect()
}

/// Restores every dump beside its live store, and compares. Can be repeated.
///
/// # Errors
/// What does not agree; the live stores are untouched.
pub fn restore_beside(
    backup: &Backup,
    stores: &[&dyn DataStore],
    plan: &[(String, Aside)],
    reporter: &dyn Reporter,
) -> Result<()> {
    check(backup, reporter)?;
    for (name, aside) in plan {
        reporter.check()?;
        find(stores, name)?.restore_next(aside, backup.dumped(name)?, &backup.path, reporter)?;
    }
    Ok(())
}

/// Puts every restored store in the place of the live one; if one cannot, all go back. Can be repeated.
///
/// # Errors
/// Why one could not, once all are back; `restore_mixed` where going back did not work either.
pub fn swap(stores: &[&dyn DataStore], plan: &[(String, Aside)]) -> Result<()> {
    for (name, aside) in plan {
        match find(stores, name)?.observe(aside)? {
            AsideState::Copied | AsideState::Swapping | AsideState::Swapped => {}
            state => {
                return Err(Error::failed("not_restored", format!("“{name}” was not restored beside the live one."))
                    .remedy("Begin the restore again. Nothing was changed.")
                    .detail(format!("{state:?}")));
            }
        }
    }
    let swapped = plan.iter().try_for_each(|(name, aside)| find(stores, name)?.swap(aside));
    swapped.map_err(|error| match put_back(stores, plan) {
        Ok(()) => error,
        Err(back) => Error::new(
            crate::error::Kind::NeedsAttention,
            "restore_mixed",
            "One part of the data could not be put in place, and another not back.",
        )
        .remedy("Delete nothing, and do not start the application. Begin again; the details name what is in the way.")
        .detail(error.message)
        .detail(back.message),
    })
}

/// Puts every live store back, and keeps what was restored as failed. Tries all, whatever one answers. Can be repeated.
///
/// # Errors
/// The first that could not.
pub fn put_back(stores: &[&dyn DataStore], plan: &[(String, Aside)]) -> Result<()> {
    let back: Vec<_> = plan.iter().map(|(name, aside)| find(stores, name).and_then(|it| it.put_back(aside))).collect();
    back.into_iter().collect()
}

fn find<'s>(stores: &[&'s dyn DataStore], name: &str) -> Result<&'s dyn DataStore> {
    stores.iter().find(|it| it.name() == name).copied().ok_or_else(|| {
        Error::refused("store_unknown", format!("The backup holds “{name}”, which this installation does not know."))
            .remedy("Name this store in the profile as it was when the backup was made, then try again.")
    })
}
