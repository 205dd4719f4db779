-- Owner of all of it: the notifier; reader_token: `earlybell token`.

CREATE TABLE child_case (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upn INTEGER NOT NULL,
    school_year INTEGER NOT NULL,
    reference TEXT NOT NULL UNIQUE,
    locality TEXT,
    school_urn INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    level INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (upn, school_year)
) STRICT;
CREATE INDEX child_case_locality ON child_case (locality, id);

CREATE TABLE alert (
    alert_id TEXT PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES child_case (id),
    rule TEXT NOT NULL,
    episode INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    change TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    level INTEGER NOT NULL,
    since INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    evidence BLOB NOT NULL,
    sentence TEXT NOT NULL,
    rule_set INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_case ON alert (case_id);

CREATE TABLE alert_gap (
    alert_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    upn INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (alert_id, version)
) STRICT;
CREATE INDEX alert_gap_partition ON alert_gap (part);
CREATE INDEX alert_gap_upn ON alert_gap (upn);

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    case_id INTEGER NOT NULL REFERENCES child_case (id),
    alert_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    receiver TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'given_up')),
    body TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    tried_since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    ended_at INTEGER,
    UNIQUE (alert_id, receiver, version)
) STRICT;
CREATE INDEX delivery_due ON delivery (receiver, next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_case ON delivery (case_id);
CREATE INDEX delivery_given_up ON delivery (id) WHERE state = 'given_up';

CREATE TABLE attempt (
    delivery_id INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;

CREATE TABLE reader_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    localities TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
