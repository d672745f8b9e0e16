//! `releases`, `check --releases`.

use chrono::{DateTime, Utc};
use liftlock_engine::engine::Look;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::process::Silent;
use liftlock_engine::view::{RoundView, SearchView};
use liftlock_engine::{Engine, Result};

use crate::commands::notice;
use crate::screen::{Line, Screen, Style};
use crate::text::ago;

pub(crate) fn releases(engine: &Engine, screen: &Screen, name: &InstallationName) -> Result<u8> {
    let view = engine.releases(name)?;
    if screen.json {
        screen.document(&view);
        return Ok(0);
    }
    if let Some(moved) = &view.moved_to {
        screen.aside(format!("The repository has moved to {moved}; put that into the profile."));
    }
    let now = Utc::now();
    let rows = view.releases.iter().map(|it| {
        let marks = [
            (view.version.as_deref() == Some(&it.version), "runs"),
            (view.latest.as_deref() == Some(&it.version), "newest to reach"),
            (it.prerelease, "unfinished"),
            (it.breaking, "starts with empty data"),
        ];
        let marks: Vec<_> = marks.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
        vec![it.version.clone(), it.published_at.map(|at| ago(at, now)).unwrap_or_default(), marks.join(", ")]
    });
    if view.releases.is_empty() {
        screen.note("No release is out yet.");
    } else {
        screen.table(&["version", "published", ""], rows.collect());
    }
    for skipped in view.skipped.iter().filter(|_| screen.verbose) {
        screen.note(Line::new(Style::Muted, format!("  left out: {}: {}", skipped.tag, skipped.why)));
    }
    print_search(screen, None, &view.search, now);
    Ok(0)
}

/// Looks now, at one or at all. That a server cannot be reached is told and fails nothing.
pub(crate) fn look(engine: &Engine, screen: &Screen, name: Option<&InstallationName>) -> Result<u8> {
    let round = engine.check_releases(name, Look::Now, &Silent)?;
    if screen.json {
        screen.document(&round);
        return Ok(0);
    }
    print(screen, &round);
    Ok(0)
}

/// What is in it for a person.
pub(crate) fn news(engine: &Engine, screen: &Screen, name: &InstallationName) -> Result<u8> {
    let view = engine.news(name, None)?;
    if screen.json {
        screen.document(&view);
        return Ok(0);
    }
    for hole in &view.closes {
        let text = format!("Closes {}, severity {}. {}", hole.id, hole.severity, hole.summary);
        screen.line(Line::new(Style::Danger, text));
    }
    let now = Utc::now();
    for release in &view.releases {
        let at = release.published_at.map(|at| format!("  {}", ago(at, now))).unwrap_or_default();
        screen.line(Line::new(Style::Bold, release.version.clone()).and(Style::Muted, at));
        let changes = &release.changes;
        for (title, items) in [
            ("Breaking", &changes.breaking),
            ("Security", &changes.security),
            ("New", &changes.new),
            ("Fixed", &changes.fixed),
        ] {
            for (at, item) in items.iter().enumerate() {
                if at == 0 {
                    screen.line(format!("  {title}"));
                }
                item.lines().for_each(|line| screen.paragraph("    ", line));
            }
        }
        changes.other.lines().filter(|it| !it.trim().is_empty()).for_each(|line| screen.paragraph("  ", line));
    }
    if view.cut {
        screen.note("There is more than can be shown.");
    }
    Ok(0)
}

pub(crate) fn print(screen: &Screen, round: &RoundView) {
    let now = Utc::now();
    if round.installations.is_empty() {
        screen.note("No application is looked after yet.");
        return;
    }
    round.installations.iter().for_each(|it| notice::print(screen, it, now));
    for repository in &round.repositories {
        print_search(screen, Some(&repository.host), &repository.search, now);
    }
}

/// How old the answer is, what stands in the way, and when it goes on.
pub(crate) fn print_search(screen: &Screen, host: Option<&str>, search: &SearchView, now: DateTime<Utc>) {
    let muted = |text: String| screen.note(Line::new(Style::Muted, text));
    let host = host.map(|it| format!(" {it}")).unwrap_or_default();
    let next = search
        .next_check_at
        .map(|at| format!(" Liftlock looks again by itself {}.", at_time(at, now)))
        .unwrap_or_default();
    if let Some(problem) = &search.problem {
        muted(format!("{} Only the search for updates waits.{next}", problem.message));
        if let Some(at) = search.checked_at {
            muted(format!("What you see was told {}.", ago(at, now)));
        }
        return;
    }
    match search.checked_at {
        Some(at) => {
            muted(format!("Told by{} {}.{next}", if host.is_empty() { " its server" } else { &host }, ago(at, now)))
        }
        None => muted("Nobody has looked for releases yet.".to_owned()),
    }
}

fn at_time(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at <= now { "soon".to_owned() } else { ago(at, now) }
}
