-- What is out, as last told, and what people chose to hear of it. Append only, as every file here.

-- Whether an answer has changed is asked by this date where the server names no tag.
ALTER TABLE answer ADD COLUMN last_modified TEXT;

-- A repository is asked once for all installations that come from it.
CREATE TABLE repository (
    source        TEXT    NOT NULL PRIMARY KEY, -- address of the API, a blank, owner/name in lower case
    moved_to      TEXT,                         -- the owner/name under which it now lives
    asked_at      TEXT,
    answered_at   TEXT,                         -- when the server last said how it is
    next_check_at TEXT,
    wait_until    TEXT,                         -- the server asked to be left alone until then
    failures      INTEGER NOT NULL DEFAULT 0,   -- attempts in a row without an answer
    failing_since TEXT,
    problem       TEXT,                         -- the last of them, as an error
    advised_at    TEXT,                         -- when its security advisories were last asked for
    cut_short     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Every tag that was ever told, whatever a profile makes of it. One that is withdrawn stays, so that what is
-- published anew under the same tag is not young.
CREATE TABLE release (
    source        TEXT    NOT NULL,
    tag           TEXT    NOT NULL,
    published_at  TEXT,
    first_seen_at TEXT    NOT NULL,
    withdrawn_at  TEXT,
    prerelease    INTEGER NOT NULL,
    breaking      INTEGER NOT NULL,             -- its notes speak of breaking changes
    security      INTEGER NOT NULL,             -- its notes speak of a closed hole
    headline      TEXT,
    PRIMARY KEY (source, tag)
) STRICT;

-- Published holes of an application.
CREATE TABLE advisory (
    source        TEXT NOT NULL,
    id            TEXT NOT NULL,
    document      TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    PRIMARY KEY (source, id)
) STRICT;

-- What a person chose about the notices of an installation.
CREATE TABLE notice (
    installation TEXT NOT NULL PRIMARY KEY,
    choices      TEXT NOT NULL
) STRICT;

-- Notifications of the desktop: once a version and level, never twice.
CREATE TABLE announced (
    installation TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    level        INTEGER NOT NULL,
    at           TEXT    NOT NULL,
    PRIMARY KEY (installation, version, level)
) STRICT;
