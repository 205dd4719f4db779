-- Times: microseconds since the Unix epoch, UTC. Sessions: days since 1970-01-01 times 2, plus 1 for PM.
-- UPNs: packed. School years: the year they begin in. Each table has one owner: see the module of its name.

CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    event_partitions INTEGER NOT NULL CHECK (event_partitions > 0),
    clock TEXT NOT NULL CHECK (clock IN ('wall', 'registers')),
    clock_session INTEGER,
    namespace TEXT NOT NULL
) STRICT;

CREATE TABLE policy_set (
    version INTEGER PRIMARY KEY CHECK (version > 0),
    applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    files TEXT NOT NULL
) STRICT;

-- The pointer is moved before its set is inserted: its row lock gives the version out, so the reference is checked at commit.
CREATE TABLE policy_in_force (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL REFERENCES policy_set (version) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE position (
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    next_offset INTEGER NOT NULL,
    checkpoint_offset INTEGER NOT NULL CHECK (checkpoint_offset >= 0),
    checkpoint_at INTEGER NOT NULL,
    outbox_number INTEGER NOT NULL CHECK (outbox_number >= 0),
    PRIMARY KEY (topic, part),
    CONSTRAINT position_checkpoint_not_ahead CHECK (checkpoint_offset <= next_offset)
) STRICT;

CREATE TABLE record (
    upn INTEGER NOT NULL,
    school_year INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    due_at INTEGER,
    judged_with INTEGER NOT NULL,
    PRIMARY KEY (upn, school_year)
) STRICT;
CREATE INDEX record_partition ON record (part, school_year, upn);

CREATE TABLE enrolment (
    upn INTEGER PRIMARY KEY,
    part INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX enrolment_partition ON enrolment (part, upn);

CREATE TABLE published (
    upn INTEGER NOT NULL,
    school_year INTEGER NOT NULL,
    rule TEXT NOT NULL,
    part INTEGER NOT NULL,
    alert_id TEXT NOT NULL,
    episode INTEGER NOT NULL,
    version INTEGER NOT NULL,
    level INTEGER NOT NULL,
    since INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (upn, school_year, rule)
) STRICT;
CREATE INDEX published_partition ON published (part, upn, school_year, rule);

CREATE TABLE outbox (
    part INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    put_at INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (part, number)
) STRICT;

CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    message_offset INTEGER NOT NULL,
    message_at INTEGER NOT NULL,
    headers TEXT NOT NULL,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    urn INTEGER,
    payload BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    replayed_at INTEGER,
    UNIQUE (topic, part, message_offset, place)
) STRICT;
CREATE INDEX dead_letter_open ON dead_letter (reason, id) WHERE replayed_at IS NULL;

CREATE TABLE held (
    upn INTEGER PRIMARY KEY,
    part INTEGER NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    event_offset INTEGER NOT NULL
) STRICT;
CREATE INDEX held_partition ON held (part, upn);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    upn INTEGER,
    detail TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_never_updated BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append only');
END;
CREATE TRIGGER audit_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append only');
END;
