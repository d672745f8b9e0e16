//! `history`.

use chrono::{DateTime, Utc};
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};
use serde_json::Value;

use crate::screen::{Line, Screen, Style};
use crate::text::{ago, duration};

pub(crate) fn list(engine: &Engine, screen: &Screen, name: Option<&InstallationName>) -> Result<u8> {
    let history = engine.history(name)?;
    if screen.json {
        screen.document(&history);
        return Ok(0);
    }
    if history.outcomes.is_empty() {
        screen.note("No update has ended yet.");
        return Ok(0);
    }
    let now = Utc::now();
    let rows = history.outcomes.iter().map(|it| {
        let word = |key: &str| it[key].as_str().unwrap_or("?").to_owned();
        let when = it["ts"].as_str().and_then(|ts| DateTime::parse_from_rfc3339(ts).ok());
        vec![
            when.map_or_else(|| word("ts"), |at| ago(at.with_timezone(&Utc), now)),
            word("installation"),
            format!("{} → {}", word("from"), word("to")),
            word("result").replace('_', " "),
            it["elapsed_seconds"].as_f64().map(duration).unwrap_or_default(),
            word("message"),
        ]
    });
    screen.table(&["when", "name", "versions", "result", "took", "message"], rows.collect());
    if screen.verbose {
        screen.note(format!("The chained history is in {}.", history.file));
        let ids = history.outcomes.iter().filter_map(|it| it.get("upgrade_id").and_then(Value::as_str));
        ids.for_each(|id| screen.note(format!("  {id}")));
    }
    Ok(0)
}

pub(crate) fn verify(engine: &Engine, screen: &Screen) -> Result<u8> {
    let check = engine.verify_history()?;
    if screen.json {
        screen.document(&check);
    } else if check.intact {
        let lines = match check.lines {
            1 => "1 line is".to_owned(),
            many => format!("{many} lines are"),
        };
        screen.line(format!("The history is as it was written: {lines} in place."));
    } else {
        let line = check.broken_line.map_or_else(String::new, |it| format!(" in line {it}"));
        screen.line(Line::new(Style::Danger, format!("The history was changed{line}.")));
        screen.paragraph("  ", check.why.as_deref().unwrap_or_default());
    }
    Ok(u8::from(!check.intact))
}
