//! `notice`.

use chrono::{DateTime, Utc};
use liftlock_engine::engine::Choice;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::model::notice::Quiet;
use liftlock_engine::view::{NoticeView, UpdateOffer};
use liftlock_engine::{Engine, Result};
use serde_json::json;

use crate::args::{Named, NoticeCommand};
use crate::commands::named;
use crate::screen::{Line, Screen, Style};
use crate::text::ago;

pub(crate) fn run(engine: &Engine, screen: &Screen, of: Named, command: Option<NoticeCommand>) -> Result<u8> {
    let Some(command) = command else { return show(engine, screen, of) };
    let (of, choice) = match command {
        NoticeCommand::Dismiss { of } => (of, Choice::Hide),
        NoticeCommand::Skip { of, to } => (of, Choice::Skip(to)),
        NoticeCommand::Remind { of, days } => (of, Choice::Remind(days)),
        NoticeCommand::Pause { of, days } => (of, Choice::Pause(days)),
        NoticeCommand::Stay { of } => (of, Choice::Stay),
        NoticeCommand::Resume { of, skipped: None } => (of, Choice::HearAll),
        NoticeCommand::Resume { of, skipped: Some(it) } => (of, Choice::Unskip(it)),
    };
    let view = engine.choose_notices(&named(engine, of)?, choice)?;
    if screen.json {
        screen.document(&view);
    } else {
        print(screen, &view, Utc::now());
    }
    Ok(0)
}

fn show(engine: &Engine, screen: &Screen, of: Named) -> Result<u8> {
    let views = match of.name {
        Some(name) => vec![engine.notice(&name.parse::<InstallationName>()?)?],
        None => engine.notices()?,
    };
    if screen.json {
        screen.document(&json!({ "notices": views }));
        return Ok(0);
    }
    if views.is_empty() {
        screen.note("No application is looked after yet.");
    }
    let now = Utc::now();
    views.iter().for_each(|it| print(screen, it, now));
    Ok(0)
}

/// What one installation is told.
pub(crate) fn print(screen: &Screen, view: &NoticeView, now: DateTime<Utc>) {
    let name = &view.installation;
    let version = view.version.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    let Some(offer) = &view.offer else {
        screen.line(format!("{name}{version}: nothing newer is known."));
        return;
    };
    let (style, heading) = words(name, offer);
    screen.line(Line::new(if offer.quiet.is_some() { Style::Muted } else { style }, heading));
    if let Some(headline) = &offer.headline {
        screen.paragraph("  ", headline);
    }
    offer.reasons.iter().for_each(|it| screen.paragraph("  ", it));
    for hole in &view.holes {
        screen.paragraph("  ", &format!("{}, severity {}. {}", hole.id, hole.severity, hole.summary));
    }
    if offer.path.len() > 1 {
        screen.line(format!("  On the way: {}.", offer.path.join(", ")));
    }
    if let Some(why) = quiet(offer, now) {
        screen.line(Line::new(Style::Muted, format!("  {why}")));
    }
    if offer.ended_by_security {
        screen.line("  You had put this off; since then a security hole in your version became known.");
    }
}

fn words(name: &InstallationName, offer: &UpdateOffer) -> (Style, String) {
    let to = &offer.to;
    let days = count(offer.days_behind, "day");
    let versions = count(i64::try_from(offer.versions_behind).unwrap_or(i64::MAX), "version");
    let style = match u8::from(offer.level) {
        1 => Style::Plain,
        2 | 3 => Style::Bold,
        _ => Style::Danger,
    };
    let heading = if offer.security.is_some() {
        format!("{name}: {to} closes a security hole in your version.")
    } else if offer.breaking {
        format!("{name}: {to} is out. It starts with empty data; you can stay on your version as long as you like.")
    } else {
        match u8::from(offer.level) {
            1 => format!("{name}: {to} is out."),
            2 => format!("{name} is {days} and {versions} behind; {to} is out."),
            3 => format!("{name}: known issues may affect you. It is {days} and {versions} behind; {to} is out."),
            _ => format!(
                "{name} is {days} and {versions} behind. Problems that were solved since then can still happen here; {to} is out."
            ),
        }
    };
    (style, heading)
}

fn count(number: i64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn quiet(offer: &UpdateOffer, now: DateTime<Utc>) -> Option<String> {
    let until = offer.quiet_until.map(|at| format!(", ends {}", ago(at, now))).unwrap_or_default();
    Some(match offer.quiet? {
        Quiet::Busy => "Quiet while an update runs.".to_owned(),
        Quiet::Skipped => format!("You skipped {}.", offer.to),
        Quiet::Staying => format!("You stay on {}.x.", offer.line.as_deref().unwrap_or("this line")),
        Quiet::Paused => format!("Notices are paused{until}."),
        Quiet::Reminded => format!("You are reminded later{until}."),
        Quiet::Hidden => format!("Hidden{until}."),
    })
}
