//! The faults that were thought of beforehand, and where each is tested. That none is left out, and that every test
//! that is named here exists, is a test too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What every fault of the list must have: its number, in words, and the tests that bring it about.
const ROWS: &[(&[u32], &str, &[&str])] = &[
    (
        &[1, 2, 3, 4, 5],
        "killed before and after the intent, in the effect, after it, after the outcome; every step, forward and back",
        &[
            "killed_before_every_intent",
            "killed_after_every_intent",
            "killed_in_the_middle_of_every_effect",
            "killed_after_every_effect",
            "killed_after_every_outcome",
            "a_migration_that_was_interrupted_is_never_run_again",
            "every_point_of_the_table_is_somewhere_in_the_rows",
            "killed_where_the_data_is_changed_in_place",
        ],
    ),
    (&[6], "killed at the n-th write", &["killed_at_some_write_to_the_disk"]),
    (&[7], "killed at a random time of a step", &["killed_at_some_moment_of_a_step", "killed_once_and_only_once"]),
    (
        &[8],
        "killed again while it recovers, and while it goes back",
        &["killed_again_while_a_step_is_done_again", "killed_five_times_at_the_same_step_of_the_way_back"],
    ),
    (
        &[9],
        "who watches is killed, alone and with the worker",
        &[
            "a_follower_that_is_killed_takes_nothing_with_it",
            "with_follower_and_worker_killed_it_is_interrupted_and_the_next_start_goes_on",
        ],
    ),
    (
        &[10],
        "the worker is killed while its child lives",
        &["a_migration_that_outlives_its_worker_is_ended_before_anything_else_is_done"],
    ),
    (
        &[11],
        "the worker is frozen; it wakes after another took over",
        &[
            "a_worker_that_stands_still_is_ended_past_its_deadline_and_not_before",
            "a_worker_that_stands_still_takes_its_migration_with_it",
            "one_that_wakes_after_another_took_over_changes_no_row_and_leaves",
        ],
    ),
    (
        &[12],
        "the power goes",
        &[
            "the_power_goes_and_the_upgrade_goes_on",
            "the_power_goes_on_the_way_back_and_the_old_version_comes_back",
            "the_power_goes_in_a_migration_and_the_old_version_comes_back",
        ],
    ),
    (
        &[14],
        "the journal's disk is full",
        &[
            "a_journal_that_finds_its_disk_full_lets_go_of_the_ballast_and_comes_to_an_end",
            "where_not_even_the_ballast_helps_nothing_is_claimed_and_room_brings_the_end",
        ],
    ),
    (
        &[15],
        "the backup's disk is full",
        &["a_backup_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched"],
    ),
    (
        &[16],
        "the disk of the restored copy, or of the copy beside, is full",
        &[
            "a_proof_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched",
            "a_full_disk_is_told_as_such_and_leaves_the_original_as_it_was",
        ],
    ),
    (&[20], "cut off in a dump", &["a_dump_whose_connection_is_cut_is_thrown_away_and_taken_again"]),
    (
        &[21],
        "cut off in a migration",
        &[
            "a_migration_whose_connection_is_cut_is_brought_back",
            "with_every_connection_cut_in_a_migration_the_old_version_comes_back",
        ],
    ),
    (
        &[22],
        "the network swallows everything",
        &["a_migration_behind_a_network_that_swallows_everything_ends_by_its_deadline"],
    ),
    (&[23], "cut off around a commit", &["what_a_commit_has_done_is_asked_when_its_answer_was_cut_off"]),
    (
        &[24, 25],
        "bits of a backup flipped, its end missing",
        &[
            "a_backup_that_is_damaged_before_its_proof_keeps_the_application_from_being_stopped",
            "every_flipped_bit_is_found_and_the_grade_falls",
            "a_truncated_a_missing_and_a_lengthened_dump_are_found_without_reading_them",
            "flipped_and_truncated_archives_are_never_proven",
        ],
    ),
    (&[32], "eight workers at once", &["of_eight_processes_one_wins_and_seven_name_it"]),
    (
        &[34],
        "the number of a process is used again",
        &["another_process_with_the_same_pid_is_not_it", "a_record_of_another_process_with_the_same_pid_stops_nobody"],
    ),
    (
        &[37],
        "the new version is never well, says another number, or has lost rows",
        &[
            "a_release_that_is_not_well_or_not_the_one_wanted_is_brought_back",
            "what_the_rehearsal_sees_never_reaches_the_application",
            "what_only_happens_in_the_real_migration_is_brought_back",
        ],
    ),
    (
        &[38],
        "a migration hangs, or works for long, without a word",
        &[
            "a_migration_that_works_for_long_without_a_word_is_given_its_time",
            "what_only_happens_in_the_real_migration_is_brought_back",
        ],
    ),
    (
        &[39],
        "Liftlock itself is replaced",
        &[
            "a_state_of_a_newer_liftlock_is_refused_and_the_open_upgrade_is_as_it_was",
            "the_schema_is_never_changed_under_a_worker_that_runs",
        ],
    ),
    (
        &[40],
        "the way back fails",
        &[
            "a_way_back_that_fails_says_what_to_type_and_typing_it_brings_the_old_version_back",
            "a_person_who_mends_it_by_hand_says_so_and_is_believed_once_it_is_seen",
        ],
    ),
];

#[test]
fn every_fault_of_the_list_has_a_test_that_exists() {
    let wanted: BTreeSet<u32> = (1..=12).chain(14..=16).chain(20..=25).chain([32, 34]).chain(37..=40).collect();
    let listed: BTreeSet<u32> = ROWS.iter().flat_map(|row| row.0.iter().copied()).collect();
    assert_eq!(listed, wanted);
    let missing = not_a_test(ROWS.iter().flat_map(|row| row.2.iter().copied()));
    assert!(missing.is_empty(), "not a test: {missing:?}");
}

/// Those of these names that no test bears.
pub(crate) fn not_a_test(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    for folder in ["tests", "src-tauri/engine/src"] {
        read_all(&root.join(folder), &mut sources);
    }
    let is_a_test = |name: &str| {
        let opening = format!("fn {name}() {{");
        sources.iter().any(|text| {
            let before = text.find(&opening).map(|at| &text[..at]);
            before.is_some_and(|it| it.trim_end().ends_with("#[test]"))
        })
    };
    names.filter(|name| !is_a_test(name)).collect()
}

fn read_all(folder: &Path, into: &mut Vec<String>) {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    for path in entries {
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push(fs::read_to_string(&path).unwrap());
        }
    }
}
