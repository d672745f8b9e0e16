//! A receipt as one page of HTML: nothing loaded, nothing run, everything escaped.
//!
//! Light and printable: the list and the sentence fit one sheet, the steps stay folded until somebody
//! opens them. Absent on purpose: scripts, fonts and pictures from elsewhere.

use std::fmt::{Display, Write};

use chrono::{DateTime, TimeZone, Utc};

use crate::receipt::{Receipt, duration, number, phase_label};
use crate::space::human;
use crate::state::upgrades::Outcome;
use crate::stores::{Grade, StoreKind};

const STYLE: &str = include_str!("receipt.css");

/// What stands where nothing was measured.
const NOT_MEASURED: &str = "Not measured";

/// The receipt as a whole page, times shown in `zone`.
pub fn html<Z: TimeZone>(receipt: &Receipt, zone: &Z) -> String
where
    Z::Offset: Display,
{
    let (headline, sentence) = receipt.words();
    let (mark, shape) = match receipt.outcome {
        Outcome::Success => ("good", "<circle cx='8' cy='8' r='7'/><path d='m4.5 8.2 2.4 2.4 4.6-5'/>"),
        Outcome::RolledBack => ("info", "<path d='M6 3 2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 7.5H6'/>"),
        Outcome::Failed | Outcome::Refused | Outcome::AbortedByUser => {
            ("notice", "<circle cx='8' cy='8' r='7'/><path d='M4.5 8h7'/>")
        }
        Outcome::RollbackFailed => ("danger", "<path d='M5 1h6l4 4v6l-4 4H5l-4-4V5zM8 4v5M8 11v1'/>"),
    };
    let mut page = String::with_capacity(8 << 10);
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"over\">Receipt of an update · <bdi>{installation}</bdi></p>\n\
         <h1><svg class=\"{mark}\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{shape}</svg> <bdi>{headline}</bdi></h1>\n\
         <p class=\"lead\"><bdi>{sentence}</bdi></p>\n<dl>\n",
        title = escape(&format!("{headline}: receipt")),
        installation = escape(receipt.installation.as_str()),
        headline = escape(&headline),
        sentence = escape(&sentence),
    );
    facts(&mut page, receipt, zone);
    page.push_str("</dl>\n");
    attention(&mut page, receipt);
    counts(&mut page, receipt);
    steps(&mut page, receipt, zone);
    let _ = write!(
        page,
        "<footer>Liftlock {} · {}</footer>\n</main>\n</body>\n</html>\n",
        escape(&receipt.liftlock),
        receipt.upgrade_id
    );
    page
}

/// The list: backup, rows before and now, away, longest part, way back, signature; then who and when.
fn facts<Z: TimeZone>(page: &mut String, receipt: &Receipt, zone: &Z)
where
    Z::Offset: Display,
{
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    };
    fact(
        "Backup",
        receipt.backup.as_ref().map_or_else(
            || "None was made".to_owned(),
            |it| {
                format!(
                    "{}, {}, {}<br><code><bdi>{}</bdi></code>",
                    grade(it.grade),
                    human(it.bytes),
                    duration(it.seconds),
                    escape(&it.path.to_string_lossy())
                )
            },
        ),
    );
    let measured = |rows: Option<u64>, when: &str| {
        rows.map_or_else(
            || format!("{} {when}", NOT_MEASURED.to_lowercase()),
            |rows| format!("{} {when}", number(rows)),
        )
    };
    fact(
        if receipt.stores.iter().all(|store| store.kind == StoreKind::Files) { "Files" } else { "Rows" },
        match receipt.rows() {
            _ if receipt.stores.is_empty() => "It keeps no data".to_owned(),
            (None, None) => NOT_MEASURED.to_owned(),
            (before, after) => format!("{}, {}", measured(before, "before"), measured(after, "now")),
        },
    );
    fact("Away", receipt.away_seconds.map_or_else(|| NOT_MEASURED.to_owned(), duration));
    fact(
        "Longest part",
        receipt.longest().map_or_else(
            || NOT_MEASURED.to_owned(),
            |(phase, seconds)| format!("{}, {}", escape(phase_label(phase)), duration(seconds)),
        ),
    );
    let originals = receipt.originals.iter().map(|it| {
        let until = it
            .until
            .map_or_else(|| "kept until you remove it".to_owned(), |until| format!("kept to {}", day(until, zone)));
        let size = it.bytes.map_or_else(|| "size not measured".to_owned(), human);
        format!("<bdi>{}</bdi>, {until}, {size}", escape(&it.name))
    });
    fact(
        "Way back",
        if receipt.originals.is_empty() {
            "Nothing had to be set aside".to_owned()
        } else {
            originals.collect::<Vec<_>>().join("<br>")
        },
    );
    fact("Signature", receipt.trust.map_or_else(|| "Not checked".to_owned(), |it| escape(&capital(&it.to_string()))));
    fact(
        "Update",
        format!(
            "<bdi>{}</bdi> to <bdi>{}</bdi>",
            receipt.from.as_deref().map_or_else(|| "unknown version".into(), escape),
            escape(&receipt.to)
        ),
    );
    let took = (receipt.finished_at - receipt.started_at).as_seconds_f64();
    fact("Time", format!("{}, {} in all", moment(receipt.started_at, zone), duration(took)));
    fact("Asked for by", format!("<bdi>{}</bdi>", escape(&receipt.initiated_by)));
}

/// What a person has to do, where one is needed.
fn attention(page: &mut String, receipt: &Receipt) {
    if let Some(error) = receipt.error.as_ref().filter(|_| receipt.outcome != Outcome::Success) {
        let _ = write!(
            page,
            "<h2>What happened</h2>\n<p><bdi>{}</bdi></p>\n<p><bdi>{}</bdi></p>\n<details><summary>Details</summary>\n<p>Class: <code>{}</code></p>\n",
            escape(&error.message),
            escape(&error.remedy),
            escape(&error.class)
        );
        for detail in &error.details {
            let _ = writeln!(page, "<pre>{}</pre>", escape(detail));
        }
        page.push_str("</details>\n");
    }
    let Some(attention) = receipt.attention.as_ref().filter(|it| !it.commands.is_empty()) else { return };
    page.push_str("<h2>The steps, in this order</h2>\n<ol>\n");
    for command in &attention.commands {
        let _ = writeln!(page, "<li><pre>{}</pre></li>", escape(command));
    }
    page.push_str("</ol>\n");
}

/// Every table that was counted, folded.
fn counts(page: &mut String, receipt: &Receipt) {
    if receipt.stores.iter().all(|store| store.before.is_none() && store.after.is_none()) {
        return;
    }
    page.push_str(
        "<details><summary>Rows in each table</summary>\n<table>\n\
         <thead><tr><th>Where</th><th class=\"n\">Before</th><th class=\"n\">Now</th></tr></thead>\n<tbody>\n",
    );
    for store in &receipt.stores {
        let empty = crate::stores::Counts::new();
        let (before, after) = (store.before.as_ref().unwrap_or(&empty), store.after.as_ref().unwrap_or(&empty));
        let mut tables: Vec<_> = before.keys().chain(after.keys()).collect();
        tables.sort_unstable();
        tables.dedup();
        for table in tables {
            // A table that a count did not find is not there; a count that was not made is not measured.
            let cell = |counted: bool, rows: Option<&u64>| match (counted, rows) {
                (false, _) => NOT_MEASURED.to_owned(),
                (true, None) => "not there".to_owned(),
                (true, Some(rows)) => number(*rows),
            };
            let _ = writeln!(
                page,
                "<tr><td><bdi>{}</bdi> · <bdi>{}</bdi></td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escape(&store.name),
                escape(table),
                cell(store.before.is_some(), before.get(table)),
                cell(store.after.is_some(), after.get(table))
            );
        }
    }
    page.push_str("</tbody>\n</table>\n</details>\n");
}

/// Every step and its time, folded.
fn steps<Z: TimeZone>(page: &mut String, receipt: &Receipt, zone: &Z)
where
    Z::Offset: Display,
{
    page.push_str(
        "<details><summary>Every step and its time</summary>\n<table>\n\
         <thead><tr><th>Part</th><th>Step</th><th>Began</th><th class=\"n\">Took</th><th>Ended</th></tr></thead>\n<tbody>\n",
    );
    for step in &receipt.steps {
        let on: Vec<_> =
            [&step.component, &step.store].into_iter().filter(|it| !it.is_empty()).map(|it| escape(it)).collect();
        let on = if on.is_empty() { String::new() } else { format!(" (<bdi>{}</bdi>)", on.join(", ")) };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}{on}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(phase_label(&step.phase)),
            escape(&step.step.replace('_', " ")),
            step.started_at.with_timezone(zone).format("%H:%M:%S"),
            step.seconds.map_or_else(|| NOT_MEASURED.to_owned(), duration),
            escape(&step.outcome.replace('_', " "))
        );
    }
    page.push_str("</tbody>\n</table>\n</details>\n");
}

/// A grade as a disc that fills, with its word.
fn grade(grade: Grade) -> String {
    let (class, word, shape) = match grade {
        Grade::Taken => ("muted", "Taken", "<circle cx='8' cy='8' r='6.5'/>"),
        Grade::Readable => {
            ("notice", "Readable", "<circle cx='8' cy='8' r='6.5'/><path class='fill' d='M1.5 8a6.5 6.5 0 0 0 13 0z'/>")
        }
        Grade::Proven => (
            "good",
            "Proven",
            "<circle class='fill' cx='8' cy='8' r='6.5'/><path class='over' d='m4.5 8.2 2.4 2.4 4.6-5'/>",
        ),
    };
    format!("<svg class=\"{class}\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{shape}</svg> {word}")
}

fn moment<Z: TimeZone>(at: DateTime<Utc>, zone: &Z) -> String
where
    Z::Offset: Display,
{
    at.with_timezone(zone).format("%-d %b %Y, %H:%M (UTC%:z)").to_string().replace("UTC+00:00", "UTC")
}

fn day<Z: TimeZone>(at: DateTime<Utc>, zone: &Z) -> String
where
    Z::Offset: Display,
{
    at.with_timezone(zone).format("%-d %b %Y").to_string()
}

/// With a capital in front, as a line begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

/// Text as HTML shows it, in an element as in an attribute; control characters become visible marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // Overrides of the writing direction could make a name read as another one.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::receipt::Attention;
    use crate::receipt::tests::sample;

    #[test]
    fn the_page_tells_the_facts_in_their_order() {
        insta::assert_snapshot!(html(&sample(), &Utc));
    }

    #[test]
    fn what_was_not_measured_is_said_so_and_never_zero() {
        let mut receipt = sample();
        receipt.backup = None;
        receipt.stores[0].before = None;
        receipt.stores[0].after = None;
        receipt.away_seconds = None;
        receipt.steps.clear();
        receipt.trust = None;
        let page = html(&receipt, &Utc);
        for fact in ["Rows", "Away", "Longest part"] {
            assert!(page.contains(&format!("<dt>{fact}</dt><dd>Not measured</dd>")), "{fact}: {page}");
        }
        assert!(page.contains("<dt>Signature</dt><dd>Not checked</dd>"));
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let evil = "<script>alert('1')</script>\" onload=\"x\u{202e}\u{0}&";
        let mut receipt = sample();
        receipt.application = evil.into();
        receipt.from = Some(evil.into());
        receipt.to = evil.into();
        receipt.initiated_by = evil.into();
        receipt.originals[0].name = evil.into();
        receipt.stores[0].name = evil.into();
        receipt.outcome = Outcome::RollbackFailed;
        receipt.error = Some(Error::failed("x", evil).remedy(evil).detail(evil));
        receipt.attention =
            Some(Attention { place: evil.into(), original_is_whole: true, commands: vec![evil.into()] });
        receipt.steps[0].step = evil.into();
        receipt.steps[0].outcome = evil.into();
        receipt.steps[0].phase = evil.into();
        let page = html(&receipt, &Utc);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\" onload"));
        assert!(!page.contains('\u{202e}') && !page.contains('\0'));
    }

    #[test]
    fn times_are_shown_in_the_zone_of_the_reader() {
        let zone = chrono::FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
        assert!(html(&sample(), &zone).contains("21 Nov 2026, 08:30 (UTC+05:30)"));
    }
}
