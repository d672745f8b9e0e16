//! `export`.

use liftlock_engine::engine::ExportChoice;
use liftlock_engine::export::manifest::FileFormat;
use liftlock_engine::view::ExportView;
use liftlock_engine::{Engine, Result};

use crate::args::{ExportArgs, ExportFormat, Separator};
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
    screen.table(&["what", "rows", "size", "files", "left out"], rows.collect());
    let said = format!("Checked: {} files were read back, and agree with the database.", export.files_checked);
    screen.line(Line::new(Style::Good, said));
    screen.line(format!("  {}", export.folder));
}
