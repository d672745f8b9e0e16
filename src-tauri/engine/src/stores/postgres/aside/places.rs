//! Opening, closing and changing places.

use super::{Aside, AsideState, Belongings, allow, empty_out, in_use, not_as_left, observe_in, rename, seen, settled};
use crate::error::{Error, Result};
use crate::stores::postgres::client::Client;
use crate::stores::postgres::facts::{Other, sessions_in};
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::postgres::session::{SHORT, Session};

/// Closes the original: nobody can connect any more, and the sessions that `may_end` allows are ended.
/// Somebody else's session is an error, and the original is then open as before. Repeatable.
///
/// # Errors
/// `foreign_sessions`, `insufficient_rights`, `store_changed`, or why the server cannot be asked.
pub fn close(client: &Client, aside: &Aside, may_end: &dyn Fn(&Other) -> bool) -> Result<()> {
    settled(
        client,
        std::slice::from_ref(aside),
        |_| false,
        |session| {
            let state = observe_in(session, aside)?;
            match state {
                AsideState::Untouched
                | AsideState::Closed
                | AsideState::Copied { .. }
                | AsideState::PartCopied { .. } => {}
                other => return Err(not_as_left(aside, &other)),
            }
            // Looked at first, so that a database which others use is not closed at all.
            let there = sessions_in(session, aside.original_oid)?;
            let foreign: Vec<&Other> = there.iter().filter(|it| !may_end(it) && !it.is_ours()).collect();
            if !foreign.is_empty() {
                return Err(in_use(&aside.name, &foreign));
            }
            session.run(&allow(&aside.name, false))?;
            empty_out(session, aside.original_oid, &aside.name, may_end).inspect_err(|_| {
                // Whoever came in between keeps working; if even this fails, the journal has the undo.
                let _ = session.run(&allow(&aside.name, true));
            })
        },
    )
}

/// Opens the original where it has its name. Repeatable.
///
/// # Errors
/// `store_changed`, or why the server cannot be asked.
pub fn reopen(client: &Client, aside: &Aside) -> Result<()> {
    settled(
        client,
        std::slice::from_ref(aside),
        |state| *state == AsideState::Untouched,
        |session| match observe_in(session, aside)? {
            AsideState::Untouched | AsideState::PutBack { .. } => Ok(()),
            AsideState::Closed | AsideState::Copied { .. } | AsideState::PartCopied { .. } => {
                session.run(&allow(&aside.name, true))
            }
            other => Err(not_as_left(aside, &other)),
        },
    )
}

/// Gives the copies the names of the originals, all of one cluster in one transaction. The copies are then open,
/// the originals lie aside, closed. Sessions in the copies that `may_end` allows are ended. Repeatable.
///
/// # Errors
/// `foreign_sessions`, `store_changed`, `outcome_unknown`, or what the server answered; then
/// none has changed its name.
pub fn swap(client: &Client, asides: &[Aside], may_end: &dyn Fn(&Other) -> bool) -> Result<()> {
    settled(
        client,
        asides,
        |state| matches!(state, AsideState::Swapped { .. }),
        |session| {
            let mut todo = Vec::new();
            for aside in asides {
                match observe_in(session, aside)? {
                    AsideState::Copied { next_oid } => todo.push((aside, next_oid)),
                    AsideState::Swapped { .. } => {}
                    other => return Err(not_as_left(aside, &other)),
                }
            }
            let mut comments = Vec::new();
            for (aside, next_oid) in &todo {
                session.run(&allow(&aside.next_name, false))?;
                empty_out(session, *next_oid, &aside.next_name, may_end)?;
                // Nobody may be in the original either. It was closed before it was copied; one whose place a restored
                // dump takes is closed here.
                session.run(&allow(&aside.name, false))?;
                empty_out(session, aside.original_oid, &aside.name, may_end)?;
                // What belongs to the copy was compared when it was made; a migration may have changed it since.
                comments.push(Belongings::of(session, aside.original_oid)?.comment);
            }
            session.transact(|session| {
                for ((aside, next_oid), comment) in todo.iter().zip(&comments) {
                    expect(session, aside, &[(aside.original_oid, &aside.name), (*next_oid, &aside.next_name)])?;
                    session.run(&rename(&aside.name, &aside.aside_name))?;
                    session.run(&rename(&aside.next_name, &aside.name))?;
                    let comment = comment.as_deref().map_or_else(|| "NULL".to_owned(), literal);
                    session.run(&format!("COMMENT ON DATABASE {} IS {comment}", ident(&aside.name)))?;
                    session.run(&allow(&aside.name, true))?;
                }
                Ok(())
            })
        },
    )
}

/// Gives the originals their names back from wherever they stand, all in one transaction, and opens them. What
/// had their place, or was made to have it, is kept, closed, as failed. Repeatable.
///
/// # Errors
/// As [`swap`].
pub fn put_back(client: &Client, asides: &[Aside], may_end: &dyn Fn(&Other) -> bool) -> Result<()> {
    let is_back = |state: &AsideState| matches!(state, AsideState::PutBack { .. } | AsideState::Untouched);
    settled(client, asides, is_back, |session| {
        let mut todo = Vec::new();
        for aside in asides {
            match observe_in(session, aside)? {
                AsideState::Untouched | AsideState::PutBack { .. } => {}
                AsideState::Closed => todo.push((aside, None)),
                AsideState::Swapped { next_oid } => todo.push((aside, Some((next_oid, &aside.name)))),
                AsideState::Copied { next_oid } | AsideState::PartCopied { next_oid } => {
                    todo.push((aside, Some((next_oid, &aside.next_name))));
                }
                unknown @ AsideState::Unknown(_) => return Err(not_as_left(aside, &unknown)),
            }
        }
        for (_, copy) in &todo {
            if let Some((oid, name)) = copy {
                session.run(&allow(name, false))?;
                empty_out(session, *oid, name, may_end)?;
            }
        }
        session.transact(|session| {
            for (aside, copy) in &todo {
                if let Some((oid, name)) = copy {
                    expect(session, aside, &[(*oid, name)])?;
                    session.run(&rename(name, &aside.failed_name))?;
                    if *name == &aside.name {
                        expect(session, aside, &[(aside.original_oid, &aside.aside_name)])?;
                        session.run(&rename(&aside.aside_name, &aside.name))?;
                    }
                }
                expect(session, aside, &[(aside.original_oid, &aside.name)])?;
                session.run(&allow(&aside.name, true))?;
            }
            Ok(())
        })
    })
}

/// Drops what was kept after an upgrade, when its time is over: the original after a swap, the failed copy after
/// the original was put back. What has the name is never dropped. Repeatable.
///
/// # Errors
/// `store_changed`, `foreign_sessions`, or what the server answered.
pub fn discard(client: &Client, aside: &Aside) -> Result<()> {
    let mut session = aside.connect_alone(client)?;
    let (oid, name) = match observe_in(&mut session, aside)? {
        AsideState::Swapped { .. } => (aside.original_oid, &aside.aside_name),
        AsideState::PutBack { failed_oid } => (failed_oid, &aside.failed_name),
        AsideState::Untouched => return Ok(()),
        // The original is gone and what replaced it has the name: done before.
        AsideState::Unknown(_) if is_discarded(&mut session, aside)? => return Ok(()),
        other => return Err(not_as_left(aside, &other)),
    };
    drop_database(&mut session, aside, oid, name)
}

fn is_discarded(session: &mut Session, aside: &Aside) -> Result<bool> {
    let seen = seen(session, aside)?;
    let has_name = seen.iter().any(|it| it.name == aside.name && aside.next_oid.is_none_or(|oid| oid == it.oid));
    Ok(has_name && seen.len() == 1 && seen.iter().all(|it| it.oid != aside.original_oid))
}

/// Drops a database after a last look at its object id.
pub(super) fn drop_database(session: &mut Session, aside: &Aside, oid: u32, name: &str) -> Result<()> {
    debug_assert_ne!(name, aside.name, "what has the name is never dropped");
    expect(session, aside, &[(oid, name)])?;
    session.run(&allow(name, false))?;
    empty_out(session, oid, name, &|_| false)?;
    expect(session, aside, &[(oid, name)])?;
    session.run_watched(&format!("DROP DATABASE {}", ident(name)), SHORT * 10, &mut || Ok(()))
}

/// Whether each of these object ids has this very name.
fn expect(session: &mut Session, aside: &Aside, wanted: &[(u32, &str)]) -> Result<()> {
    for (oid, name) in wanted {
        let select = format!("SELECT 1 AS one FROM pg_database WHERE oid = {oid} AND datname = {}", literal(name));
        if !session.finds(&select)? {
            return Err(Error::failed("store_changed", format!("The database {name} is not the one it was before."))
                .remedy(
                    "Nothing was renamed or removed. Look at the databases on the server, then run “liftlock settle”.",
                )
                .detail(format!("expected object id {oid}, in the upgrade of {}", aside.name)));
        }
    }
    Ok(())
}
