-- A release that cannot take the old data along is installed empty beside the old installation, which is set aside whole.
-- The row is written before anything is touched; `plan` holds what was fixed and found, as a document.
CREATE TABLE fresh_start (
    id           TEXT PRIMARY KEY,
    installation TEXT NOT NULL,              -- the one that is set aside
    successor    TEXT NOT NULL,              -- the new one
    state        TEXT NOT NULL CHECK (state IN ('backing_up', 'building', 'setting_aside', 'opening', 'complete',
                                                'undoing', 'undone', 'removing', 'removed')),
    plan         TEXT NOT NULL,
    begun_at     TEXT NOT NULL,
    ended_at     TEXT
) STRICT;
CREATE UNIQUE INDEX one_fresh_start ON fresh_start (installation) WHERE state NOT IN ('undone', 'removed');
