//! The words of the screens, as on the window: a phase is "Backup", not `backing_up`.

use liftlock_engine::model::state::State;

/// What a state is called.
pub(crate) fn label(state: State) -> &'static str {
    match state {
        State::Pending => "Waiting",
        State::Checking => "Check",
        State::BackingUp => "Backup",
        State::Downloading => "Download",
        State::Rehearsing => "Rehearsal",
        State::Applying => "Switch",
        State::Migrating => "Your data",
        State::Restarting => "Start",
        State::Verifying => "Final check",
        State::Complete => "Done",
        State::RollingBack => "Bringing back",
        State::RolledBack => "Brought back",
        State::Failed => "Nothing was changed",
        State::NeedsAttention => "Needs you",
    }
}
