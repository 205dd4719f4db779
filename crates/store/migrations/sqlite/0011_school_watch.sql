-- Owner: ingest, the owner of the first partition of registers, under its position row. How each school stands that was ever silent.
CREATE TABLE school_watch (
    urn INTEGER PRIMARY KEY,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    since INTEGER NOT NULL,
    episode INTEGER NOT NULL CHECK (episode > 0),
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT;

-- Owner: the notifier. An alert about a school; there is no case of a school.
CREATE TABLE school_alert (
    alert_id TEXT PRIMARY KEY,
    urn INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    since INTEGER NOT NULL,
    session INTEGER NOT NULL,
    sentence TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX school_alert_open ON school_alert (urn) WHERE state > 1;

-- Whether an import of history brought it: that says nothing of who sends registers now.
ALTER TABLE register ADD COLUMN history INTEGER NOT NULL DEFAULT 0;
CREATE INDEX register_session ON register (session, urn);
