//! What can go wrong with backups, and who may try to make it go wrong: for each what comes of it, and where that is tested.
//! That every test that is named here exists is a test too.

use crate::rows::not_a_test;

/// A fault or a threat, what comes of it, and the tests that bring it about.
type Row = (&'static str, &'static str, &'static [&'static str]);

const FAULTS: &[Row] = &[
    (
        "the disk of the backups is full, from the beginning or meanwhile",
        "`no_room` before anything is written, or `disk_full`; nothing is left, an update ends before anything stops",
        &[
            "a_disk_that_is_too_small_refuses_before_anything_is_written",
            "a_disk_that_fills_up_meanwhile_ends_it_with_nothing_left_behind",
            "a_backup_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched",
        ],
    ),
    (
        "the disk of a proof, of a restore, of a copy beside or of a copy that comes back is full",
        "`no_room` or `disk_full`; the original is as it was, the backup verifies",
        &[
            "a_proof_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched",
            "a_disk_of_the_server_that_has_no_room_for_a_restore_is_told_before_anything_stops",
            "a_restore_that_finds_the_disk_of_the_server_full_leaves_the_original_as_it_was",
            "a_full_disk_is_told_as_such_and_leaves_the_original_as_it_was",
            "a_disk_that_fills_up_while_copying_leaves_the_original_as_it_was",
            "a_copy_that_finds_no_room_on_its_way_back_leaves_nothing_and_counts_as_before",
        ],
    ),
    (
        "the connection is cut in a dump, or goes silent",
        "`connection_lost` or `stalled`; half a dump is thrown away, an update takes it again, a person is told",
        &[
            "a_dump_whose_connection_is_cut_is_thrown_away_and_taken_again",
            "a_backup_whose_connection_is_cut_says_so_and_leaves_nothing_and_the_next_one_is_whole",
            "a_dump_that_is_cancelled_or_cut_leaves_nothing",
            "a_network_that_swallows_everything_ends_by_the_deadline",
        ],
    ),
    (
        "a bit of any block of any file flips, or the file ends there",
        "`backup_damaged` and its kin: the grade falls, an alarm says since when, other backups verify, nothing is stopped",
        &[
            "a_damage_in_any_block_of_any_file_is_found_and_takes_nothing_from_other_backups",
            "a_damaged_dump_is_found_by_restoring_it",
            "damage_anywhere_in_the_dump_is_found",
            "flipped_and_truncated_archives_are_never_proven",
            "a_backup_that_is_damaged_before_its_proof_keeps_the_application_from_being_stopped",
            "old_backups_are_restored_as_a_test_again_and_a_grade_that_falls_is_an_alarm",
        ],
    ),
    (
        "the disk of the copies is pulled out in mid-copy, fills up, or gives back other bytes",
        "`copy_folder_gone`, `disk_full`, `copy_differs`; nothing counts, nothing lies on the mount point, it is gone on with",
        &[
            "a_disk_that_is_pulled_out_in_the_middle_of_a_copy_is_named_and_nothing_is_written_in_its_place",
            "a_disk_that_fills_up_in_the_middle_of_a_copy_is_gone_on_with_when_it_has_room",
            "a_copy_is_read_back_gone_on_with_after_a_cut_and_never_made_on_an_empty_mount_point",
            "scheduled_backups_are_copied_and_caught_up_when_their_disk_is_connected_again",
        ],
    ),
    (
        "the storage goes away in mid-copy, refuses, or gives back other bytes",
        "`storage_…` with what to do; nothing counts, a finding says it, what has arrived is not sent again",
        &[
            "a_copy_that_was_cut_goes_on_without_sending_what_is_there",
            "a_server_that_forgot_the_parts_gets_them_anew_and_a_short_outage_is_waited_for",
            "what_comes_back_otherwise_than_it_was_sent_is_no_copy",
            "what_storage_refuses_is_said_with_what_to_do",
        ],
    ),
    (
        "the keychain with the passphrase is locked or gone, the key is lost or another one",
        "`keychain_…`, `key_unreadable`, `wrong_key`; nothing is made that could not be opened, no grade falls",
        &[
            "a_passphrase_in_the_keychain_opens_backups_and_a_locked_keychain_makes_none",
            "a_keychain_that_is_gone_makes_no_backup_and_takes_nothing_from_those_that_are_there",
            "a_key_that_is_gone_stops_a_backup_before_anything_is_written",
            "without_its_key_a_backup_is_not_damaged_and_keeps_what_it_earned",
        ],
    ),
    (
        "the clock is ten years or an hour wrong between two runs; summer time begins and ends",
        "every night has one backup; what is made afterwards is the newest, stays, and has its copy",
        &[
            "a_clock_that_was_set_wrong_for_a_night_puts_off_nothing",
            "a_clock_that_was_wrong_for_a_while_neither_removes_what_is_new_nor_keeps_it_from_its_copy",
            "every_night_has_its_backup_once_also_where_an_hour_is_missing_or_comes_twice",
        ],
    ),
    (
        "a table is locked for long",
        "`database_locked`; half a dump is thrown away, the next one is whole",
        &["a_table_that_is_locked_for_long_ends_the_dump_with_a_word_and_nothing_is_left"],
    ),
    (
        "the server is of another major version than the backup, or than the tools here",
        "a newer one takes it whole; an older one, and older tools, refuse with what to do",
        &[
            "the_promises_hold_on_a_newer_major",
            "a_backup_of_an_older_server_is_gone_back_to_on_a_newer_one",
            "files_of_an_older_server_are_brought_into_a_newer_one",
            "what_a_newer_server_wrote_is_refused_on_an_older_one_before_anything_is_touched",
            "tools_older_than_the_server_are_refused_with_what_to_install",
        ],
    ),
];

/// Who may try, as far as it is about backups, dumps, secrets and archives.
const THREATS: &[Row] = &[
    (
        "an archive with `..`, absolute paths, links, devices, the same name twice, or one that unfolds without end",
        "refused; nothing outside the new folder is touched",
        &[
            "a_hostile_archive_in_the_place_of_ours_writes_nothing_outside",
            "bombs_are_refused_before_they_fill_the_disk",
            "a_link_above_the_top_is_refused_where_the_top_becomes_the_root",
            "what_unfolds_to_a_thousand_times_its_size_is_not_read_to_its_end",
        ],
    ),
    (
        "a link or another folder in the place of a backup, before or while it is written; other users who read",
        "`not_ours`; nothing is written where it leads; 0700 and 0600",
        &[
            "links_in_the_place_of_a_backup_or_its_files_are_not_followed",
            "a_folder_that_is_exchanged_in_mid_run_is_refused_and_nothing_is_written_where_it_leads",
            "a_link_is_never_followed",
            "a_backup_holds_every_store_and_is_proven",
        ],
    ),
    (
        "a manifest that somebody changed",
        "`backup_damaged`, `backup_hostile`; what it says is compared before it is believed",
        &[
            "an_edited_manifest_is_found_even_with_its_checksum_edited_too",
            "a_manifest_that_points_elsewhere_is_refused",
            "a_manifest_that_leads_out_of_the_folder_is_hostile",
        ],
    ),
    (
        "a hostile dump: commands for psql, checks and functions that run programs, other roles and databases",
        "it runs as a role without rights on a private server, through a psql that takes no commands, or it is refused",
        &[
            "a_hostile_dump_runs_nothing_with_rights_that_its_owner_never_had",
            "a_hostile_file_reaches_nothing_beyond_its_scratch_database",
            "lines_that_restrict_psql_are_understood_and_unlock_nothing",
            "what_speaks_to_psql_or_reaches_beyond_the_database_is_refused",
        ],
    ),
    (
        "names in a backup that a shell or a server would take for commands",
        "quoted where they stand; none is run",
        &["the_rescue_kit_restores_everything_on_a_fresh_server_and_says_when_it_cannot"],
    ),
    (
        "secrets in arguments, logs, the database, manifests, kept roles, encrypted backups",
        "seen nowhere, whatever prints them",
        &[
            "a_command_that_prints_its_whole_environment_gives_no_password_away",
            "encrypted_backups_carry_an_update_and_a_restore_and_their_key_is_seen_nowhere",
            "an_encrypted_backup_is_proven_and_restored_and_shows_nothing_of_what_it_holds",
            "the_roles_of_the_server_are_kept_without_passwords_and_a_server_that_lacks_one_is_told_before_anything_stops",
            "what_is_known_is_taken_out_of_every_text_also_as_it_stands_in_an_address",
            "passwords_of_a_backup_stand_in_no_command_line_and_in_no_file_that_is_left",
        ],
    ),
    (
        "a place for copies that answers with what it was not given",
        "read back and compared; what is brought back is checked before it counts",
        &[
            "a_copy_is_brought_back_where_its_backup_is_gone_and_only_as_it_was_written",
            "what_comes_back_otherwise_than_it_was_sent_is_no_copy",
        ],
    ),
];

#[test]
fn whatever_may_befall_a_backup_has_a_test_that_exists() {
    let rows = || FAULTS.iter().chain(THREATS);
    assert!(rows().all(|row| !row.0.is_empty() && !row.1.is_empty() && !row.2.is_empty()));
    let missing = not_a_test(rows().flat_map(|row| row.2.iter().copied()));
    assert!(missing.is_empty(), "not a test: {missing:?}");
}
