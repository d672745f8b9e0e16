//! Setting a database aside: the original is closed, a copy is made beside it, and the two change names in one
//! transaction, forward and back.
//!
//! Every verb looks first, so it may be asked again after any interruption. A cut connection tells nothing:
//! the backend is ended and waited for, and then the world is looked at. No name ever means a half-made
//! database, because a copy gets its mark, in its comment, only when all of it is there.

mod belongings;
mod copy;
mod places;

use std::{thread, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::is_cut;
use super::client::{Beside, Client, Server};
use super::facts::{Other, sessions_in, system_identifier};
use super::quote::{ident, literal};
use super::session::{Session, end_backend, end_earlier};
use crate::clock::SystemClock;
use crate::digest;
use crate::error::{Error, Result};
use crate::ports::Clock;
use crate::stores;

pub use belongings::{Belongings, Setting, carried_over};
pub use copy::{Like, Strategy, copy, drop_copy, restore_beside};
pub use places::{close, discard, put_back, reopen, swap};

/// The longest name that PostgreSQL keeps whole, in bytes.
const NAME_LIMIT: usize = 63;
/// How long sessions that were told to end get for it.
const LEAVING: Duration = Duration::from_secs(20);

/// Which database is set aside, and all the names it and its copy will ever bear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Aside {
    /// The cluster.
    pub system_identifier: String,
    /// The original, whatever it is called.
    pub original_oid: u32,
    /// The name that the application uses.
    pub name: String,
    /// The copy, while it is made and changed.
    pub next_name: String,
    /// The original, once the copy has its name.
    pub aside_name: String,
    /// The copy, once the original is back.
    pub failed_name: String,
    /// The copy, once it is known.
    #[serde(default)]
    pub next_oid: Option<u32>,
}

/// What stands of an [`Aside`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AsideState {
    /// The original has its name and is open.
    Untouched,
    /// The original has its name and is closed; there is no copy.
    Closed,
    /// There is something at the copy's name that is not whole.
    PartCopied {
        /// What is there.
        next_oid: u32,
    },
    /// There is a whole copy. The original has its name.
    Copied {
        /// The copy.
        next_oid: u32,
    },
    /// The copy has the name; the original lies aside.
    Swapped {
        /// What has the name now.
        next_oid: u32,
    },
    /// The original has its name and is open again; what had its place is kept.
    PutBack {
        /// What is kept.
        failed_oid: u32,
    },
    /// Not what we left, with the reason. Nothing may be renamed or dropped.
    Unknown(String),
}

impl Aside {
    /// The names under which the database `name` with this object id is set aside for `id`, a short word of
    /// letters and digits that no other upgrade has.
    pub fn new(system_identifier: &str, original_oid: u32, name: &str, id: &str) -> Self {
        Self {
            system_identifier: system_identifier.to_owned(),
            original_oid,
            name: name.to_owned(),
            next_name: beside(name, "next", id),
            aside_name: beside(name, "aside", id),
            failed_name: beside(name, "failed", id),
            next_oid: None,
        }
    }

    /// The same, from what the server says of the database now.
    ///
    /// # Errors
    /// Why it cannot be asked; `database_missing`.
    pub fn plan(client: &Client, name: &str, id: &str) -> Result<Self> {
        let mut session = client.connect_beside(name)?;
        let identifier = system_identifier(&mut session)?;
        let select = format!("SELECT oid::int8 AS oid FROM pg_database WHERE datname = {}", literal(name));
        match session.rows::<Oid>(&select)?.pop() {
            Some(row) => Ok(Self::new(&identifier, row.oid, name, id)),
            None => Err(Error::refused("database_missing", format!("There is no database {name} on the server."))
                .remedy("Check the name of the database in the settings of the application.")),
        }
    }

    fn connect<'a>(&self, client: &'a Client) -> Result<Beside<'a>> {
        client.connect_beside(&self.name)
    }

    /// The same for an act. What an earlier worker of this upgrade may still be doing is ended first, so that what
    /// is observed stays so.
    fn connect_alone<'a>(&self, client: &'a Client) -> Result<Beside<'a>> {
        let mut session = self.connect(client)?;
        end_earlier(&mut session, LEAVING)?;
        Ok(session)
    }

    /// What a whole copy bears as its comment until it takes the original's place.
    fn mark(&self) -> String {
        format!("liftlock: whole, stands in for {}/{}", self.system_identifier, self.original_oid)
    }
}

#[derive(Deserialize)]
struct Oid {
    oid: u32,
}

/// `shop` → `shop__next_1f3a`. A name that would be cut off by the server is shortened here, with a part of
/// its hash so that two long ones stay apart.
fn beside(name: &str, what: &str, id: &str) -> String {
    let suffix = format!("__{what}_{id}");
    if name.len() + suffix.len() <= NAME_LIMIT {
        return format!("{name}{suffix}");
    }
    let hash: String = digest::sha256(name.as_bytes()).chars().take(8).collect();
    let room = NAME_LIMIT.saturating_sub(suffix.len() + hash.len() + 1);
    let end = (0..=room.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format!("{}~{hash}{suffix}", &name[..end])
}

/// One of the databases that bear one of the names or object ids.
#[derive(Debug, Deserialize)]
struct Seen {
    oid: u32,
    name: String,
    is_open: bool,
    comment: Option<String>,
}

/// Looks at the server and says what stands. Changes nothing.
///
/// # Errors
/// Why the server cannot be asked.
pub fn observe(client: &Client, aside: &Aside) -> Result<AsideState> {
    let mut session = aside.connect(client)?;
    observe_in(&mut session, aside)
}

/// What the names beside the database `name` tell of the upgrade `id`. Both names change in one transaction, so they
/// tell whose data is in place; they do not tell that nobody else gave them.
///
/// # Errors
/// Why the server cannot be asked.
pub fn observe_by_name(client: &Client, name: &str, id: &str) -> Result<stores::AsideState> {
    use stores::AsideState as S;
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let mut session = client.connect_beside(name)?;
    let [next, aside, failed] = ["next", "aside", "failed"].map(|what| beside(name, what, id));
    let names = [&next, &aside, &failed].map(|it| literal(it)).join(", ");
    let there: Vec<Name> =
        session.rows(&format!("SELECT datname AS name FROM pg_database WHERE datname IN ({names})"))?;
    let is_there = |name: &String| there.iter().any(|it| it.name == *name);
    Ok(match (is_there(&next), is_there(&aside), is_there(&failed)) {
        (false, false, false) => S::NotStarted,
        (true, false, false) => S::Copied,
        (false, true, false) => S::Swapped,
        (false, false, true) => S::PutBack,
        _ => S::Unknown(format!("several databases beside {name} bear the names of this update")),
    })
}

fn observe_in(session: &mut Session, aside: &Aside) -> Result<AsideState> {
    let identifier = system_identifier(session)?;
    if identifier != aside.system_identifier {
        return Ok(AsideState::Unknown("this is another database server than the one that was worked on".to_owned()));
    }
    Ok(state_of(aside, &seen(session, aside)?))
}

fn seen(session: &mut Session, aside: &Aside) -> Result<Vec<Seen>> {
    let names = [&aside.name, &aside.next_name, &aside.aside_name, &aside.failed_name].map(|it| literal(it)).join(", ");
    let oids = [Some(aside.original_oid), aside.next_oid].iter().flatten().map(u32::to_string).collect::<Vec<_>>();
    session.rows(&format!(
        "SELECT d.oid::int8 AS oid, d.datname AS name, d.datallowconn AS is_open, \
         shobj_description(d.oid, 'pg_database') AS comment FROM pg_database d \
         WHERE d.datname IN ({names}) OR d.oid IN ({})",
        oids.join(", ")
    ))
}

/// The whole judgement, apart from any server.
fn state_of(aside: &Aside, seen: &[Seen]) -> AsideState {
    use AsideState as S;
    let named = |name: &str| seen.iter().find(|it| it.name == name);
    let unknown = |why: String| S::Unknown(why);
    let Some(original) = seen.iter().find(|it| it.oid == aside.original_oid) else {
        return unknown(format!("the original of {} is gone", aside.name));
    };
    let is_other = |it: &Seen| aside.next_oid.is_some_and(|oid| oid != it.oid);
    if original.name == aside.name {
        let (next, failed) = (named(&aside.next_name), named(&aside.failed_name));
        return match (next, failed) {
            (Some(_), Some(_)) => unknown(format!("both {} and {} are there", aside.next_name, aside.failed_name)),
            (Some(next), None) if next.comment.as_deref() != Some(aside.mark().as_str()) => {
                S::PartCopied { next_oid: next.oid }
            }
            (Some(next), None) if is_other(next) => {
                unknown(format!("{} is not the copy that was made", aside.next_name))
            }
            (Some(next), None) => S::Copied { next_oid: next.oid },
            (None, Some(failed)) if is_other(failed) => {
                unknown(format!("{} is not the copy that was made", aside.failed_name))
            }
            // One that is closed still has to be opened, which putting it back does.
            (None, Some(failed)) if original.is_open => S::PutBack { failed_oid: failed.oid },
            (None, _) if original.is_open => S::Untouched,
            (None, _) => S::Closed,
        };
    }
    if original.name == aside.aside_name {
        return match named(&aside.name) {
            Some(next) if is_other(next) => unknown(format!("{} is not the copy that was made", aside.name)),
            Some(next) => S::Swapped { next_oid: next.oid },
            None => unknown(format!("there is no database {}", aside.name)),
        };
    }
    unknown(format!("the original of {} is now called {}", aside.name, original.name))
}

/// The error for a world that is not what we left.
fn not_as_left(aside: &Aside, state: &AsideState) -> Error {
    let why = match state {
        AsideState::Unknown(why) => why.clone(),
        other => format!("{other:?}"),
    };
    Error::failed("store_changed", format!("The database {} is not as Liftlock left it: {why}.", aside.name))
        .remedy("Nothing was renamed or removed. Look at the databases on the server, then run “liftlock settle”.")
        .detail(format!("original object id {}, cluster {}", aside.original_oid, aside.system_identifier))
}

/// Ends the sessions in a database that may be ended, and waits for ours to be over, until there are none.
fn empty_out(session: &mut Session, oid: u32, name: &str, may_end: &dyn Fn(&Other) -> bool) -> Result<()> {
    let clock = SystemClock;
    let until = clock.since_boot() + LEAVING;
    loop {
        let there = sessions_in(session, oid)?;
        if there.is_empty() {
            return Ok(());
        }
        let foreign: Vec<&Other> = there.iter().filter(|it| !may_end(it) && !it.is_ours()).collect();
        if !foreign.is_empty() {
            return Err(in_use(name, &foreign));
        }
        if clock.since_boot() >= until {
            return Err(in_use(name, &there.iter().collect::<Vec<_>>()));
        }
        let pids = there.iter().filter(|it| may_end(it)).map(|it| it.pid.to_string()).collect::<Vec<_>>().join(", ");
        if !pids.is_empty() {
            session.run(&format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid IN ({pids}) AND datid = {oid}"
            ))?;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn in_use(name: &str, who: &[&Other]) -> Error {
    let mut names: Vec<String> = who
        .iter()
        .map(|it| {
            let program = if it.application.is_empty() { "an unnamed program" } else { &it.application };
            let from = if it.client.is_empty() { String::new() } else { format!(" from {}", it.client) };
            format!("{program} as {}{from}", it.user)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Error::failed("foreign_sessions", format!("Other programs are using the database {name}: {}.", names.join("; ")))
        .remedy("Close these programs, then try again. Liftlock ends only what belongs to the application.")
}

/// Acts in one session, and where its connection was cut asks the world whether it was done.
fn settled(
    client: &Client,
    asides: &[Aside],
    is_done: impl Fn(&AsideState) -> bool,
    act: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<()> {
    let Some(first) = asides.first() else { return Ok(()) };
    let mut session = first.connect_alone(client)?;
    let backend = session.backend().clone();
    let error = match act(&mut session) {
        Err(error) if is_cut(&error) || !session.is_usable() => error,
        other => return other,
    };
    drop(session);
    let beside = Server::maintenance(&first.name);
    end_backend(client, beside, &backend, Duration::from_secs(30)).map_err(|cause| {
        Error::failed("outcome_unknown", "The connection to the database server was lost, and it does not answer.")
            .remedy("Start the database server, then run “liftlock resume”: what was done is then found out.")
            .detail(error.message.clone())
            .detail(cause.message)
    })?;
    let mut session = client.connect_again(beside, Duration::from_secs(30))?;
    for aside in asides {
        if !is_done(&observe_in(&mut session, aside)?) {
            return Err(error);
        }
    }
    Ok(())
}

/// Lets a database have connections, or not.
fn allow(name: &str, is_open: bool) -> String {
    format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {is_open}", ident(name))
}

/// Renames.
fn rename(from: &str, to: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", ident(from), ident(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn db(oid: u32, name: &str, is_open: bool) -> Seen {
        Seen { oid, name: name.to_owned(), is_open, comment: None }
    }
    fn aside() -> Aside {
        Aside::new("77", 10, "shop", "1f3a")
    }
    fn whole(oid: u32, name: &str) -> Seen {
        Seen { comment: Some(aside().mark()), ..db(oid, name, true) }
    }

    #[test]
    fn every_state_is_told_by_object_ids() {
        use AsideState as S;
        let state = |seen: &[Seen]| state_of(&Aside { next_oid: Some(20), ..aside() }, seen);
        assert_eq!(state(&[db(10, "shop", true)]), S::Untouched);
        assert_eq!(state(&[db(10, "shop", false)]), S::Closed);
        assert_eq!(state(&[db(10, "shop", false), db(20, "shop__next_1f3a", true)]), S::PartCopied { next_oid: 20 });
        assert_eq!(state(&[db(10, "shop", false), whole(20, "shop__next_1f3a")]), S::Copied { next_oid: 20 });
        assert_eq!(state(&[db(20, "shop", true), db(10, "shop__aside_1f3a", false)]), S::Swapped { next_oid: 20 });
        assert_eq!(state(&[db(10, "shop", true), db(20, "shop__failed_1f3a", false)]), S::PutBack { failed_oid: 20 });
        assert_eq!(state(&[db(10, "shop", false), db(20, "shop__failed_1f3a", false)]), S::Closed);
    }

    #[test]
    fn what_is_not_ours_is_never_taken_for_it() {
        let state = |seen: &[Seen]| state_of(&Aside { next_oid: Some(20), ..aside() }, seen);
        let is_unknown = |seen: &[Seen]| matches!(state(seen), AsideState::Unknown(_));
        assert!(is_unknown(&[]), "gone");
        assert!(is_unknown(&[db(11, "shop", true)]), "made anew under the same name");
        assert!(is_unknown(&[db(10, "other", true)]), "renamed by somebody else");
        assert!(is_unknown(&[db(10, "shop__aside_1f3a", false)]), "nobody has the name");
        assert!(is_unknown(&[db(10, "shop__aside_1f3a", false), db(21, "shop", true)]), "another took the name");
        assert!(is_unknown(&[db(10, "shop", false), whole(21, "shop__next_1f3a")]), "another copy");
        assert!(is_unknown(&[db(10, "shop", true), db(21, "shop__failed_1f3a", false)]), "another failed copy");
    }

    #[test]
    fn names_fit_the_server_and_stay_apart() {
        assert_eq!(beside("shop", "next", "1f3a"), "shop__next_1f3a");
        let (one, two) = ("ü".repeat(30), format!("{}x", "ü".repeat(29)));
        for name in [&one, &two, &"x".repeat(63)] {
            assert!(beside(name, "failed", "0123456789abcdef").len() <= NAME_LIMIT);
        }
        assert_ne!(beside(&one, "aside", "0123456789abcdef"), beside(&two, "aside", "0123456789abcdef"));
    }
}
