//! `doctor`, and how findings are laid out.

use liftlock_engine::model::finding::{Finding, Severity};
use liftlock_engine::{Engine, Result};

use crate::screen::{Line, Screen, Style};

/// Exit code 1 where something stops the work.
pub(crate) fn doctor(engine: &Engine, screen: &Screen) -> Result<u8> {
    let view = engine.doctor()?;
    let code = u8::from(view.findings.iter().any(|it| it.severity == Severity::Stop));
    if screen.json {
        screen.document(&view);
        return Ok(code);
    }
    screen.line(format!("Liftlock {} in {}", view.version, view.home));
    if view.findings.iter().all(|it| it.severity == Severity::Note) {
        screen.line(Line::new(Style::Good, "Nothing to fix."));
    }
    print_findings(screen, &view.findings);
    Ok(code)
}

pub(crate) fn print_findings(screen: &Screen, findings: &[Finding]) {
    for finding in findings {
        let (style, word) = match finding.severity {
            Severity::Stop => (Style::Danger, "Stops it: "),
            Severity::Warning => (Style::Warn, "May go wrong: "),
            Severity::Note => (Style::Muted, "Worth knowing: "),
        };
        screen.line(Line::new(style, word).and(Style::Plain, &finding.message));
        let mut lead = "  → ";
        for line in finding.remedy.lines() {
            screen.line(format!("{lead}{line}"));
            lead = "    ";
        }
    }
}
