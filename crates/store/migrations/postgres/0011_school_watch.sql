-- Owner: ingest, the owner of the first partition of registers, under its position row. How each school stands that was ever silent.
CREATE TABLE school_watch (
    urn integer PRIMARY KEY,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    since integer NOT NULL,
    episode integer NOT NULL CHECK (episode > 0),
    version integer NOT NULL CHECK (version > 0)
);

-- Owner: the notifier. An alert about a school; there is no case of a school.
CREATE TABLE school_alert (
    alert_id text PRIMARY KEY,
    urn integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    since integer NOT NULL,
    session integer NOT NULL,
    sentence text NOT NULL,
    changed_at bigint NOT NULL
);
CREATE INDEX school_alert_open ON school_alert (urn) WHERE state > 1;

-- Whether an import of history brought it: that says nothing of who sends registers now.
ALTER TABLE register ADD COLUMN history smallint NOT NULL DEFAULT 0;
CREATE INDEX register_session ON register (session, urn);
