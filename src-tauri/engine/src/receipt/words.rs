//! The words of a receipt, as the window says them too.

use crate::error::Error;
use crate::model::state::State;
use crate::receipt::{Receipt, state_of};
use crate::state::upgrades::Outcome;

/// The headline, and the sentence: what happened, how the data stands, what to do.
pub(super) fn outcome(receipt: &Receipt) -> (String, String) {
    let app = &receipt.application;
    let to = &receipt.to;
    let from = receipt.from.as_deref().unwrap_or("the version before");
    match receipt.outcome {
        Outcome::Success => {
            let mut said = match receipt.all_is_there() {
                // Without stores there is no data to speak of.
                _ if receipt.stores.is_empty() => String::new(),
                Some(true) if receipt.announced_losses > 0 => format!(
                    "{to} removed {} rows, as its makers announced; everything else is still there. ",
                    number(receipt.announced_losses)
                ),
                Some(true) => "Everything that was there before is still there. ".to_owned(),
                Some(false) => "Fewer rows are there than before; the numbers stand below. ".to_owned(),
                None => "Whether every row is still there was not measured. ".to_owned(),
            };
            if let Some(away) = receipt.away_seconds {
                said.push_str(&format!("{app} was away for {}.", duration(away)));
            }
            (format!("{app} {to} is running"), said.trim_end().to_owned())
        }
        Outcome::RolledBack => (
            format!("{app} {from} is running again"),
            match &receipt.error {
                Some(_) => format!(
                    "The update to {to} did not work: {}. Your data is as it was before the update.",
                    reason(receipt.error.as_ref())
                ),
                None => format!("You took the update to {to} back. Your data is as it was before the update."),
            },
        ),
        Outcome::Failed | Outcome::Refused => {
            let remedy = receipt.error.as_ref().map_or("", |error| error.remedy.as_str());
            let said = format!(
                "The update to {to} stopped before {app} was touched: {}. {remedy}",
                reason(receipt.error.as_ref())
            );
            ("Nothing was changed".to_owned(), said.trim_end().to_owned())
        }
        Outcome::AbortedByUser => (
            "Nothing was changed".to_owned(),
            format!("The update to {to} was stopped before {app} was touched, as you asked."),
        ),
        Outcome::RollbackFailed => {
            let mut said = format!("Liftlock could not bring {from} back: {}. ", reason(receipt.error.as_ref()));
            match &receipt.attention {
                Some(it) if it.original_is_whole => {
                    said.push_str(&format!("Your original data is untouched, in {}.", it.place));
                }
                _ => {
                    said.push_str("Whether the original is whole could not be checked. Delete nothing.");
                    if let Some(backup) = &receipt.backup {
                        let grade = backup.grade.as_str();
                        let path = backup.path.display();
                        let made = backup.made_at.format("%e %b %Y, %H:%M UTC");
                        said.push_str(&format!(
                            " The {grade} backup of {} is in {path}.",
                            made.to_string().trim_start()
                        ));
                    }
                }
            }
            (format!("{app} needs you"), said)
        }
    }
}

/// A message as the end of a sentence.
fn reason(error: Option<&Error>) -> &str {
    error.map_or("the reason was not recorded", |error| error.message.trim_end_matches('.'))
}

/// Seconds as people say them: `0.4 s`, `38 s`, `2 min 41 s`, `1 h 2 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole % 3600 / 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, 0) => format!("{min} min"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

/// A number with a comma at each thousand.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What people call a phase, given the name of its state; an unknown one is called by its name.
pub fn phase_label(phase: &str) -> &str {
    match state_of(phase) {
        Some(State::Pending | State::Checking) => "Check",
        Some(State::BackingUp) => "Backup",
        Some(State::Downloading) => "Download",
        Some(State::Rehearsing) => "Rehearsal",
        Some(State::Applying) => "Switch",
        Some(State::Migrating) => "Your data",
        Some(State::Restarting) => "Start",
        Some(State::Verifying | State::Complete) => "Final check",
        Some(State::RollingBack | State::RolledBack | State::NeedsAttention) => "Bringing back",
        Some(State::Failed) | None => phase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::Attention;
    use crate::receipt::tests::sample;

    fn said(receipt: &Receipt) -> String {
        let (headline, sentence) = receipt.words();
        format!("{headline} | {sentence}")
    }

    fn with(outcome: Outcome) -> Receipt {
        let error =
            Error::failed("migration_failed", "The migration ended with code 1.").remedy("Read its last lines.");
        Receipt { outcome, error: Some(error), ..sample() }
    }

    #[test]
    fn each_outcome_says_what_happened_and_how_the_data_stands() {
        let mut lossy = sample();
        lossy.announced_losses = 1200;
        let mut uncounted = sample();
        uncounted.stores[0].after = None;
        let mut fewer = sample();
        fewer.stores[0].after.as_mut().unwrap().insert("public.orders".into(), 3);
        let mut needy = with(Outcome::RollbackFailed);
        let blind = needy.clone();
        needy.attention =
            Some(Attention { place: "filaops__aside_1".into(), original_is_whole: true, commands: Vec::new() });
        let all: Vec<_> = [
            sample(),
            lossy,
            uncounted,
            fewer,
            with(Outcome::RolledBack),
            with(Outcome::Failed),
            with(Outcome::Refused),
            with(Outcome::AbortedByUser),
            needy,
            blind,
        ]
        .iter()
        .map(said)
        .collect();
        insta::assert_snapshot!(all.join("\n"), @r"
        FilaOps 4.2.0 is running | Everything that was there before is still there. FilaOps was away for 2 min 41 s.
        FilaOps 4.2.0 is running | 4.2.0 removed 1,200 rows, as its makers announced; everything else is still there. FilaOps was away for 2 min 41 s.
        FilaOps 4.2.0 is running | Whether every row is still there was not measured. FilaOps was away for 2 min 41 s.
        FilaOps 4.2.0 is running | Fewer rows are there than before; the numbers stand below. FilaOps was away for 2 min 41 s.
        FilaOps 4.1.0 is running again | The update to 4.2.0 did not work: The migration ended with code 1. Your data is as it was before the update.
        Nothing was changed | The update to 4.2.0 stopped before FilaOps was touched: The migration ended with code 1. Read its last lines.
        Nothing was changed | The update to 4.2.0 stopped before FilaOps was touched: The migration ended with code 1. Read its last lines.
        Nothing was changed | The update to 4.2.0 was stopped before FilaOps was touched, as you asked.
        FilaOps needs you | Liftlock could not bring 4.1.0 back: The migration ended with code 1. Your original data is untouched, in filaops__aside_1.
        FilaOps needs you | Liftlock could not bring 4.1.0 back: The migration ended with code 1. Whether the original is whole could not be checked. Delete nothing. The proven backup of 21 Nov 2026, 03:00 UTC is in /home/ada/backups/filaops/2026-11-21.
        ");
    }

    #[test]
    fn time_and_numbers_read_as_people_say_them() {
        let said = [0.04, 9.94, 9.96, 59.6, 60.0, 161.4, 3600.0, 3725.0, f64::NAN].map(duration);
        assert_eq!(said, ["0.0 s", "9.9 s", "10 s", "1 min", "1 min", "2 min 41 s", "1 h", "1 h 2 min", "0.0 s"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn every_phase_has_a_word() {
        for state in State::FORWARD {
            assert_ne!(phase_label(state.as_str()), state.as_str());
        }
        assert_eq!(phase_label("rolling_back"), "Bringing back");
    }
}
