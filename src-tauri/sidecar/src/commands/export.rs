//! `export`.

use liftlock_engine::engine::ExportChoice;
use liftlock_engine::export::manifest::{BytesForm, FileFormat};
use liftlock_engine::view::ExportView;
use liftlock_engine::{Engine, Result};

use crate::args::{self, ExportArgs, ExportFormat, Separator};
use crate::commands::named;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::size;

pub(crate) fn run(engine: &Engine, screen: &Screen, args: ExportArgs) -> Result<u8> {
    if let Some(folder) = &args.check {
        let seen = engine.check_export(folder, &Progress::begin(screen, "Check"))?;
        show(screen, &seen);
        return Ok(0);
    }
    let name = named(engine, args.of)?;
    let format = |it: &ExportFormat| match it {
        ExportFormat::Csv => FileFormat::Csv,
        ExportFormat::Jsonl => FileFormat::JsonLines,
        ExportFormat::Xlsx => FileFormat::Xlsx,
        ExportFormat::Json => FileFormat::JsonDocuments,
    };
    let mut formats: Vec<FileFormat> = Vec::new();
    for wanted in args.format.iter().map(format) {
        if !formats.contains(&wanted) {
            formats.push(wanted);
        }
    }
    let choice = ExportChoice {
        to: args.to,
        only: args.only,
        everything: args.everything,
        as_tables: false,
        formats,
        separator: Some(match args.separator {
            Separator::Comma => ',',
            Separator::Semicolon => ';',
            Separator::Tab => '\t',
        }),
        bytes: match args.bytes {
            args::BytesForm::Hex => BytesForm::Hex,
            args::BytesForm::Base64 => BytesForm::Base64,
            args::BytesForm::Files => BytesForm::Files,
        },
        zip: args.zip,
    };
    let made = engine.export(&name, &choice, &Progress::begin(screen, "Export"))?;
    show(screen, &made);
    Ok(0)
}

fn show(screen: &Screen, export: &ExportView) {
    if screen.json {
        screen.document(export);
        return;
    }
    let rows = export.entities.iter().map(|it| {
        vec![it.entity.clone(), it.rows.to_string(), size(it.bytes), it.files.join(", "), it.left_out.join(", ")]
    });
    let deleted = export.entities.iter().filter(|it| it.deleted > 0);
    let deleted: Vec<String> = deleted.map(|it| format!("{} of {}", it.deleted, it.entity)).collect();
    screen.table(&["what", "rows", "size", "files", "left out"], rows.collect());
    let said = format!("Checked: {} files were read back, and agree with the database.", export.files_checked);
    screen.line(Line::new(Style::Good, said));
    if !deleted.is_empty() {
        let said = format!("  The application counts rows as deleted, and they are marked: {}.", deleted.join(", "));
        screen.line(Line::new(Style::Warn, said));
    }
    for note in &export.notes {
        screen.line(Line::new(Style::Warn, format!("  {note}")));
    }
    screen.line(format!("  {}", export.folder));
}
