-- What is kept beside after an upgrade goes by rule: after so many days on which the application was seen to be well.
CREATE TABLE kept (
    upgrade_id     TEXT NOT NULL,
    installation   TEXT NOT NULL,
    store          TEXT NOT NULL,
    kept           TEXT NOT NULL CHECK (kept IN ('original', 'failed_copy', 'final_dump')),
    place          TEXT NOT NULL,
    bytes          INTEGER,
    kept_since     TEXT NOT NULL,
    removing_since TEXT,                     -- written before the removal begins: what is half removed is no way back
    PRIMARY KEY (upgrade_id, store, kept)
) STRICT;
INSERT INTO kept (upgrade_id, installation, store, kept, place, bytes, kept_since)
    SELECT upgrade_id, installation, store, kept, place, bytes, kept_since FROM original;
DROP TABLE original;
ALTER TABLE kept RENAME TO original;

-- On which days somebody looked, and whether the application was well every time. Days are UTC.
CREATE TABLE day_seen (
    installation TEXT    NOT NULL,
    day          TEXT    NOT NULL,
    is_well      INTEGER NOT NULL CHECK (is_well IN (0, 1)),
    PRIMARY KEY (installation, day)
) STRICT;

-- Returning to a backup is one of the ways out for an upgrade that waits for a person, so it may run beside that one.
DROP INDEX one_open_upgrade;
CREATE UNIQUE INDEX one_open_upgrade ON system_updates (installation)
    WHERE state NOT IN ('complete', 'rolled_back', 'failed', 'needs_attention');
