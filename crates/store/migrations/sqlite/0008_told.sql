-- One message tells all that changed in a case at a moment, or, in a storm, what changed in many: which changes it tells is a table.
-- Above a team's limit messages are gathered until the hour is over, then they become one. SQLite changes no column: the table is
-- made anew.
CREATE TABLE delivery_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    case_id INTEGER REFERENCES child_case (id),
    receiver TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('gathered', 'waiting', 'sending', 'delivered', 'given_up')),
    body TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    tried_since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    ended_at INTEGER,
    register_id TEXT NOT NULL DEFAULT '',
    changes INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE attempt_new (
    delivery_id INTEGER NOT NULL REFERENCES delivery_new (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    error TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;
CREATE TABLE told (
    alert_id TEXT NOT NULL,
    receiver TEXT NOT NULL,
    version INTEGER NOT NULL,
    message_id TEXT NOT NULL REFERENCES delivery_new (message_id) ON DELETE CASCADE,
    PRIMARY KEY (alert_id, receiver, version)
) STRICT;
INSERT INTO delivery_new (id, message_id, case_id, receiver, state, body, received_at, created_at, tried_since, next_at, attempts,
                          last_error, ended_at, register_id)
SELECT id, message_id, case_id, receiver, state, body, received_at, created_at, tried_since, next_at, attempts, last_error, ended_at,
    register_id FROM delivery;
INSERT INTO attempt_new SELECT delivery_id, number, started_at, ended_at, error FROM attempt;
INSERT INTO told SELECT alert_id, receiver, version, message_id FROM delivery WHERE case_id IS NOT NULL;
DROP TABLE attempt;
DROP TABLE delivery;
ALTER TABLE delivery_new RENAME TO delivery;
ALTER TABLE attempt_new RENAME TO attempt;
CREATE INDEX told_message ON told (message_id);
CREATE INDEX delivery_due ON delivery (receiver, next_at, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_case ON delivery (case_id);
CREATE INDEX delivery_given_up ON delivery (id) WHERE state = 'given_up';
CREATE INDEX delivery_hour ON delivery (receiver, created_at);
CREATE INDEX delivery_gathered ON delivery (next_at, receiver) WHERE state = 'gathered';
