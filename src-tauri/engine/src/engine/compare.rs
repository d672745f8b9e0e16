//! What an installation holds now beside what a backup holds: what a person sees before going back.
//!
//! Leads with what would be lost. A broken application must not block its own restore, so what cannot be counted is
//! said, and is no error.

use std::path::Path;

use crate::backups;
use crate::drivers::Gate;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::profile::Profile;
use crate::ports::Reporter;
use crate::stores::{Counts, StoreKind};
use crate::view::{BackupView, CompareView, ComparedRows};

/// What is typed to confirm a restore. A fixed word, never a name: a name is typed without reading.
pub const RESTORE: &str = "RESTORE";

/// The restore was not confirmed by the word.
pub(crate) fn expect_typed(typed: &str) -> Result<()> {
    if typed.trim() == RESTORE {
        return Ok(());
    }
    Err(Error::refused("not_confirmed", "The restore was not confirmed. Nothing was begun.")
        .remedy(format!("Type {RESTORE} to go back. The data of today is set aside, untouched.")))
}

impl Engine {
    /// What is there now beside what a backup holds. Touches nothing, and needs no lease.
    ///
    /// # Errors
    /// `unknown_backup`; the folder is no backup.
    pub fn compare_backup(&self, path_or_id: &Path, reporter: &dyn Reporter) -> Result<CompareView> {
        let backup = backups::open(&self.find_backup(path_or_id)?)?;
        let installation = self.db()?.installation(&backup.manifest.installation)?;
        let site = self.site(&installation)?;
        let version_now =
            site.ask_version(Gate::Public, reporter).ok().map(|it| it.to_string()).or(site.driver.current_release()?);
        let (mut rows, mut loses, mut uncounted) = (Vec::new(), Vec::new(), Vec::new());
        for store in &site.stores {
            let then = backup.dumped(store.name()).ok().map(|it| &it.counts);
            reporter.check()?;
            let now = store.counts(reporter);
            match (&now, then) {
                (Ok(now), Some(then)) => {
                    let named = |table: &str| named_for_people(&site.profile, store.name(), table);
                    loses.extend(lost(store.kind(), now, then, named));
                }
                (Ok(_), None) => {
                    uncounted.push(format!("“{}” is not in this backup and does not change places.", store.name()))
                }
                (Err(error), _) => {
                    uncounted.push(format!("What “{}” holds now cannot be counted: {}", store.name(), error.message));
                }
            }
            rows.extend(beside(store.name(), now.as_ref().ok(), then));
        }
        loses.sort_by_key(|it| std::cmp::Reverse(it.0));
        let mut loses: Vec<String> = uncounted.into_iter().chain(loses.into_iter().map(|it| it.1)).collect();
        if version_now.is_some() && version_now != backup.manifest.version {
            let then = backup.manifest.version.as_deref().unwrap_or("another version");
            loses.push(format!("The application goes back to {then} with it."));
        }
        loses.push("Changes made to existing entries since then.".to_owned());
        Ok(CompareView { backup: BackupView::of(&backup), version_now, rows, loses })
    }
}

/// Every table of either, by name.
fn beside(store: &str, now: Option<&Counts>, then: Option<&Counts>) -> Vec<ComparedRows> {
    let names: std::collections::BTreeSet<&String> = now.into_iter().chain(then).flat_map(|it| it.keys()).collect();
    let count = |of: Option<&Counts>, table: &str| of.and_then(|it| it.get(table).copied());
    names
        .into_iter()
        .map(|table| ComparedRows {
            store: store.to_owned(),
            table: table.clone(),
            now: count(now, table),
            then: count(then, table),
        })
        .collect()
}

/// What is there now and was not then, each with its weight: how many.
fn lost(kind: StoreKind, now: &Counts, then: &Counts, named: impl Fn(&str) -> String) -> Vec<(u64, String)> {
    let sentence = |(table, rows): (&String, &u64)| {
        let more = rows.checked_sub(then.get(table).copied().unwrap_or(0)).filter(|it| *it > 0)?;
        let what = named(table);
        Some((
            more,
            match kind {
                StoreKind::Files if what.is_empty() || what == "." => format!("{more} files added since then."),
                StoreKind::Files => format!("{more} files added to {what} since then."),
                _ => format!("{more} {what} entered since then."),
            },
        ))
    };
    now.iter().filter_map(sentence).collect()
}

/// A table as people call it: by the name that the profile has for what is in it, else by its own.
pub(super) fn named_for_people(profile: &Profile, store: &str, table: &str) -> String {
    let entity = profile.exports.iter().find(|it| {
        it.store.as_deref().is_none_or(|it| it == store) && in_usual_schema(&it.table) == in_usual_schema(table)
    });
    entity.map_or_else(|| plain(table), |it| it.entity.clone())
}

/// `public.order_lines` is “order lines”.
fn plain(table: &str) -> String {
    in_usual_schema(table).replace('_', " ").replace('"', "")
}

/// A table without the schema that nobody names.
fn in_usual_schema(table: &str) -> &str {
    table.strip_prefix("public.").or_else(|| table.strip_prefix("main.")).unwrap_or(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    }

    #[test]
    fn what_would_be_lost_is_said_in_the_words_of_the_tables() {
        let now = counts(&[("public.orders", 40), ("public.order_lines", 90), ("public.items", 5), ("public.new", 1)]);
        let then =
            counts(&[("public.orders", 26), ("public.order_lines", 50), ("public.items", 7), ("public.gone", 2)]);
        let mut lost = lost(StoreKind::Postgres, &now, &then, plain);
        lost.sort_unstable();
        assert_eq!(
            lost.into_iter().map(|it| it.1).collect::<Vec<_>>(),
            ["1 new entered since then.", "14 orders entered since then.", "40 order lines entered since then."]
        );
    }

    #[test]
    fn what_the_profile_has_a_name_for_is_called_by_it() {
        let text = crate::profiles::text_of("corner-shop").unwrap();
        let renamed = text.replace("entity = \"orders\"", "entity = \"what people ordered\"");
        assert_ne!(text, renamed);
        let profile = Profile::parse(&renamed).unwrap();
        let named = |table| named_for_people(&profile, "database", table);
        assert_eq!(named("public.orders"), "what people ordered");
        assert_eq!(named("public.order_audit_log"), "order audit log", "no name is known for it");
        assert_eq!(named("sales.orders"), "sales.orders", "another schema's is another thing");
    }

    #[test]
    fn only_the_word_itself_confirms() {
        assert!(expect_typed(" RESTORE\n").is_ok());
        for typed in ["", "restore", "yes", "RESTORE shop"] {
            assert_eq!(expect_typed(typed).unwrap_err().class, "not_confirmed", "{typed}");
        }
    }
}
