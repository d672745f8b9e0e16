//! `import`.

use liftlock_engine::engine::{ImportChoice, Said};
use liftlock_engine::view::{Duplicates, ImportView, PairView, UndoneView};
use liftlock_engine::{Engine, Result};

use crate::args::{ImportArgs, Named, OnDuplicates};
use crate::commands::named;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};

pub(crate) fn run(engine: &Engine, screen: &Screen, args: ImportArgs) -> Result<u8> {
    let name = named(engine, Named { name: args.into })?;
    if let Some(run) = args.undo {
        let undone = engine.undo_import(&name, run.as_deref(), &Progress::begin(screen, "Taking back"))?;
        return Ok(show_undone(screen, &undone));
    }
    let from = args.folder.unwrap_or_default();
    if args.show_mapping {
        let seen = engine.suggest_mapping(&name, &from)?;
        if screen.json {
            screen.document(&seen);
        } else {
            if let Some(problem) = &seen.problem {
                screen.aside(problem.clone());
            }
            screen.line(seen.text.trim_end().to_owned());
        }
        return Ok(0);
    }
    let choice = ImportChoice {
        from,
        mapping: args.mapping,
        duplicates: args.duplicates.map(|it| match it {
            OnDuplicates::Skip => Duplicates::Skip,
            OnDuplicates::Update => Duplicates::Update,
        }),
        answers: Vec::new(),
        same_rows: args.same_rows,
        only: args.only,
        trial: args.dry_run,
        partly: args.partly,
    };
    let progress = Progress::begin(screen, "Import");
    let seen = if screen.can_ask() && !args.dry_run {
        engine.import_asking(&name, &choice, &|pair| progress.aside(|| ask(screen, pair)), &progress)?
    } else {
        engine.import(&name, &choice, &progress)?
    };
    show(screen, &seen);
    Ok(u8::from(seen.trial && !args.dry_run))
}

/// Shows both rows beside each other and asks which one stays.
fn ask(screen: &Screen, pair: &PairView) -> Option<Said> {
    let line = pair.line.map_or_else(String::new, |it| format!(", line {it}"));
    let said = |it: &Option<String>| it.clone().unwrap_or_else(|| "nothing".to_owned());
    let rows = pair.fields.iter().map(|it| {
        let differs = if it.there == it.comes { "" } else { "*" };
        vec![differs.to_owned(), it.column.clone(), said(&it.there), said(&it.comes)]
    });
    screen.table_aside(&["", "column", "is there", "would come"], &rows.collect::<Vec<_>>());
    let question = format!(
        "This one of {} is there already{line}. Keep what is there or take what comes? k, t, or K, T for all of {}",
        pair.entity, pair.entity
    );
    loop {
        let answer = screen.type_in(&question)?;
        let (takes, for_all) = match answer.as_str() {
            "k" => (false, false),
            "t" => (true, false),
            "K" => (false, true),
            "T" => (true, true),
            _ => continue,
        };
        return Some(Said { takes, for_all });
    }
}

fn show(screen: &Screen, seen: &ImportView) {
    if screen.json {
        screen.document(seen);
        return;
    }
    for note in &seen.notes {
        screen.line(note.clone());
    }
    let rows = seen.entities.iter().map(|it| {
        vec![
            it.entity.clone(),
            it.into.clone(),
            it.rows.to_string(),
            it.inserted.to_string(),
            it.updated.to_string(),
            (it.skipped + it.earlier).to_string(),
            it.out.to_string(),
        ]
    });
    screen.table(&["what", "into", "rows", "new", "updated", "there already", "not"], rows.collect());
    for entity in &seen.entities {
        for it in entity.troubles.iter().take(20) {
            let line = it.line.map_or_else(|| format!("row {}", it.row), |line| format!("line {line}"));
            let column = it.column.as_ref().map_or_else(String::new, |it| format!(", {it}"));
            screen.line(Line::new(Style::Warn, format!("  {}, {line}{column}: {}", entity.entity, it.why)));
        }
        if entity.altered > 0 {
            let said = format!("  {}: the application altered {} rows as they came in.", entity.entity, entity.altered);
            screen.line(Line::new(Style::Warn, said));
        }
    }
    let asked: u64 = seen.entities.iter().map(|it| it.asked).sum();
    if asked > 0 {
        let said = format!(
            "{asked} rows are there already, with other values. On a terminal each is asked about; --duplicates answers for all."
        );
        screen.line(Line::new(Style::Warn, said));
    }
    let total: u64 = seen.entities.iter().map(|it| it.rows).sum();
    let out: u64 = seen.entities.iter().map(|it| it.out).sum();
    let in_ = total - out.min(total);
    let said = match (seen.trial, out) {
        (true, 0) => format!("Tried: all {total} rows can come in. Nothing was changed."),
        (true, _) => {
            format!(
                "Tried: {in_} of {total} rows can come in, {out} cannot. Nothing was changed. --partly brings in the others."
            )
        }
        (false, 0) => format!("All {total} came in. `liftlock import --undo` takes exactly that back."),
        (false, _) => format!("{in_} of {total} came in. `liftlock import --undo` takes exactly that back."),
    };
    screen.line(Line::new(if out == 0 { Style::Good } else { Style::Warn }, said));
    if let Some(rest) = &seen.rest {
        screen.line(format!(
            "  The other {out} are in {rest}, each with its reason. Correct them there and import that folder."
        ));
    }
}

fn show_undone(screen: &Screen, undone: &UndoneView) -> u8 {
    let stays: u64 = undone.tables.iter().map(|it| it.stays).sum();
    if screen.json {
        screen.document(undone);
        return u8::from(stays > 0);
    }
    let rows = undone
        .tables
        .iter()
        .map(|it| vec![it.table.clone(), it.removed.to_string(), it.restored.to_string(), it.stays.to_string()]);
    screen.table(&["table", "removed", "as before", "stay"], rows.collect());
    for it in undone.tables.iter().flat_map(|it| it.why.iter().take(20)) {
        screen.line(Line::new(Style::Warn, format!("  {it}")));
    }
    let said = match stays {
        0 => "Everything that came in was taken back.".to_owned(),
        many => format!("{many} rows stay: they were changed since, or something else names them."),
    };
    screen.line(Line::new(if stays == 0 { Style::Good } else { Style::Warn }, said));
    u8::from(stays > 0)
}
