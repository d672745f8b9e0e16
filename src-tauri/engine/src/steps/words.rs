//! What a step has done, and what undoing it does, as people say it.

/// What was done, for the report.
pub fn done(step: &str, about: &str) -> String {
    let known = match step {
        "check" => "Looked whether everything was ready",
        "take_backup" => "Made a backup",
        "prove_backup" => "Restored the backup once, on the side, to prove it",
        "fetch_release" => "Fetched the release and checked that it arrived whole",
        "check_settings" => "Compared the settings with what the release needs",
        "rehearse" => "Tried the update on a copy of the data",
        "hold_autostart" => "Kept the application from starting by itself meanwhile",
        "stop" => "Stopped the application",
        "set_aside" => "Set the original aside",
        "write_settings" => "Added the settings that the release asked for to their file",
        "swap" => "Put the new data in the place of the original",
        "migrate" => "Fitted the data to the release",
        "pre_upgrade" | "post_upgrade" => "Ran a command of the profile",
        "check_schema" => "Asked whether the data is as the release needs it",
        "compare" => "Compared the rows before and after",
        "switch_release" => "Put the release in place",
        "start_behind_gate" => "Started the application, with nobody let in yet",
        "verify" => "Looked from outside whether it answers and every row is there",
        "open_gate" => "Let everybody in",
        "restore_autostart" => "Let it start by itself again",
        "safety_copy" => "Made a backup of what was there",
        "prepare_server" => "Fetched the new database server",
        "move_database" => "Had the new database server make the data anew, and compared every row",
        "switch_database" => "Put the new database server in the place of the old one",
        other => return with_about(&other.replace('_', " "), about),
    };
    with_about(known, about)
}

/// What going back over it does, for the list of steps back.
pub fn undone(step: &str, about: &str) -> String {
    let known = match step {
        "hold_autostart" => "Let it start by itself again",
        "stop" => "Start the version before",
        "set_aside" | "swap" => "Put the original data back in its place",
        "write_settings" => "Take the lines that were added out of the settings again",
        "migrate" | "pre_upgrade" | "post_upgrade" => "Leave the changed copy behind",
        "switch_release" => "Put the version before back in place",
        "switch_database" => "Put the old database server back in place",
        "move_database" => "Remove the new volume, unless people have worked with it",
        "start_behind_gate" => "Stop the new version",
        "open_gate" => "Close the door to the new version",
        "check_schema" | "compare" | "verify" | "check" | "rehearse" | "take_backup" | "prove_backup"
        | "check_settings" | "safety_copy" | "prepare_server" => "Nothing to undo",
        "fetch_release" => "Keep the download for another time",
        "restore_autostart" => "Keep the application from starting by itself meanwhile",
        other => return with_about(&other.replace('_', " "), about),
    };
    with_about(known, about)
}

/// Named only where there may be several.
fn with_about(sentence: &str, about: &str) -> String {
    if about.is_empty() { format!("{sentence}.") } else { format!("{sentence}: {about}.") }
}
