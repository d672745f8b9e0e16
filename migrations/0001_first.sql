-- Liftlock's own state. Append only: a merged file never changes, a correction is the next file.
-- Instants are RFC 3339 in UTC; documents are JSON; a version is semver.

-- One copy of an application on this machine.
CREATE TABLE installation (
    name        TEXT NOT NULL PRIMARY KEY,
    folder      TEXT NOT NULL UNIQUE,
    profile     TEXT NOT NULL,               -- the profile's own text, so that a later built-in one changes nothing here
    application TEXT NOT NULL,               -- id in the profile
    version     TEXT,                        -- what was last observed to run
    observed_at TEXT,
    added_at    TEXT NOT NULL
) STRICT;

-- The right to work on an installation is a file lock; the epoch makes a stale holder's writes miss.
CREATE TABLE lease (
    installation TEXT    NOT NULL PRIMARY KEY,
    epoch        INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row an upgrade, for ever.
CREATE TABLE system_updates (
    id              TEXT    NOT NULL PRIMARY KEY,
    installation    TEXT    NOT NULL,
    component       TEXT    NOT NULL,
    from_version    TEXT,
    to_version      TEXT    NOT NULL,        -- as asked for; exact once checking is over
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'checking', 'backing_up', 'downloading', 'rehearsing',
                        'applying', 'migrating', 'restarting', 'verifying', 'complete', 'rolling_back', 'rolled_back',
                        'failed', 'needs_attention')),
    epoch           INTEGER NOT NULL DEFAULT 0,
    seq             INTEGER NOT NULL DEFAULT 1,   -- rises with every change that a watcher should see
    options         TEXT    NOT NULL,
    initiated_by    TEXT    NOT NULL,
    phase           TEXT,                    -- the last phase forward, kept while rolling back
    step            TEXT,
    progress        INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    message         TEXT    NOT NULL DEFAULT '',
    error           TEXT,
    result          TEXT    CHECK (result IN ('success', 'rolled_back', 'rollback_failed', 'failed', 'refused', 'aborted_by_user')),
    backup          TEXT,
    receipt         TEXT,
    holder          TEXT,                    -- who works on it: for messages, never the lock
    restarts        INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT    NOT NULL,
    started_at      TEXT,
    finished_at     TEXT,
    finished_boot   TEXT,                    -- boot id, and seconds since that boot, when it ended: lives are counted on
    finished_uptime REAL,                    -- a clock that no one sets
    acknowledged_at TEXT,
    away_from       TEXT,
    away_to         TEXT,
    alive_boot      TEXT,                    -- boot id of the three figures below, in seconds since that boot
    alive_uptime    REAL,
    progress_uptime REAL,
    deadline_uptime REAL,                    -- when a watchdog may end the holder
    cancel_asked_at TEXT,
    CHECK ((finished_at IS NULL) = (state NOT IN ('complete', 'rolled_back', 'failed', 'needs_attention')))
) STRICT;

-- The window and the command line cannot break this promise between them.
CREATE UNIQUE INDEX one_open_upgrade ON system_updates (installation)
    WHERE state NOT IN ('complete', 'rolled_back', 'failed');
CREATE INDEX upgrades_by_time ON system_updates (installation, created_at);

-- The journal: a row is written before its step touches the world and finished after the effect is on disk.
-- A row without `finished_at` is a step that may or may not have happened.
CREATE TABLE step_run (
    id          INTEGER PRIMARY KEY,
    upgrade_id  TEXT    NOT NULL REFERENCES system_updates (id),
    direction   TEXT    NOT NULL CHECK (direction IN ('forward', 'back')),
    phase       TEXT    NOT NULL,
    step        TEXT    NOT NULL,
    component   TEXT    NOT NULL DEFAULT '',
    store       TEXT    NOT NULL DEFAULT '',
    attempt     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    intent      TEXT    NOT NULL,            -- inputs, and what is needed to undo them
    started_at  TEXT    NOT NULL,
    finished_at TEXT,
    outcome     TEXT    CHECK (outcome IN ('done', 'already_there', 'skipped', 'failed', 'interrupted')),
    answer      TEXT,                        -- what the step found or made
    error       TEXT,
    UNIQUE (upgrade_id, direction, step, component, store, attempt),
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
) STRICT;

-- What happened, a line each, for the log that a person can unfold.
CREATE TABLE event (
    id         INTEGER PRIMARY KEY,
    upgrade_id TEXT NOT NULL REFERENCES system_updates (id),
    at         TEXT NOT NULL,
    line       TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_upgrade ON event (upgrade_id, id);

CREATE TABLE system_backups (
    path         TEXT NOT NULL PRIMARY KEY,
    installation TEXT NOT NULL,
    upgrade_id   TEXT,
    kind         TEXT NOT NULL CHECK (kind IN ('manual', 'pre_update', 'scheduled')),
    grade        TEXT NOT NULL CHECK (grade IN ('taken', 'readable', 'proven', 'failed')),
    version      TEXT,
    bytes        INTEGER NOT NULL,
    note         TEXT NOT NULL DEFAULT '',
    made_at      TEXT NOT NULL,
    proven_at    TEXT
) STRICT;

-- Terminal outcomes in the order in which they were reached; history.jsonl is written from here.
CREATE TABLE history (
    seq        INTEGER PRIMARY KEY,
    upgrade_id TEXT NOT NULL,
    result     TEXT NOT NULL,
    record     TEXT NOT NULL,
    UNIQUE (upgrade_id, result)
) STRICT;

-- Set-aside originals, and failed copies, that wait for their healthy days.
CREATE TABLE original (
    upgrade_id   TEXT NOT NULL,
    installation TEXT NOT NULL,
    store        TEXT NOT NULL,
    kept         TEXT NOT NULL CHECK (kept IN ('original', 'failed_copy')),
    place        TEXT NOT NULL,
    bytes        INTEGER,
    kept_since   TEXT NOT NULL,
    PRIMARY KEY (upgrade_id, store, kept)
) STRICT;

-- The last good answer of a server and the tag that asks whether it changed.
CREATE TABLE answer (
    url        TEXT NOT NULL PRIMARY KEY,
    etag       TEXT,
    body       BLOB NOT NULL,
    fetched_at TEXT NOT NULL
) STRICT;

CREATE TABLE setting (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE seen (
    observer   TEXT NOT NULL,
    upgrade_id TEXT NOT NULL,
    seen_at    TEXT NOT NULL,
    PRIMARY KEY (observer, upgrade_id)
) STRICT;
