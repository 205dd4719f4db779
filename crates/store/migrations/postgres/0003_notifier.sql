-- Owner of all of it: the notifier; reader_token: `earlybell token`.

CREATE TABLE child_case (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    upn bigint NOT NULL,
    school_year smallint NOT NULL,
    reference text NOT NULL UNIQUE,
    locality text,
    school_urn integer NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'closed')),
    level smallint NOT NULL,
    opened_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    UNIQUE (upn, school_year)
);
CREATE INDEX child_case_locality ON child_case (locality, id);

CREATE TABLE alert (
    alert_id text PRIMARY KEY,
    case_id bigint NOT NULL REFERENCES child_case (id),
    rule text NOT NULL,
    episode integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    change text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'closed')),
    level smallint NOT NULL,
    since integer NOT NULL,
    as_of integer NOT NULL,
    evidence bytea NOT NULL,
    sentence text NOT NULL,
    rule_set bigint NOT NULL,
    changed_at bigint NOT NULL
);
CREATE INDEX alert_case ON alert (case_id);

CREATE TABLE alert_gap (
    alert_id text NOT NULL,
    version integer NOT NULL,
    upn bigint NOT NULL,
    part integer NOT NULL,
    body bytea NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (alert_id, version)
);
CREATE INDEX alert_gap_partition ON alert_gap (part);
CREATE INDEX alert_gap_upn ON alert_gap (upn);

CREATE TABLE delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL UNIQUE,
    case_id bigint NOT NULL REFERENCES child_case (id),
    alert_id text NOT NULL,
    version integer NOT NULL,
    receiver text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'given_up')),
    body text NOT NULL,
    received_at bigint NOT NULL,
    created_at bigint NOT NULL,
    tried_since bigint NOT NULL,
    next_at bigint NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    ended_at bigint,
    UNIQUE (alert_id, receiver, version)
);
CREATE INDEX delivery_due ON delivery (receiver, next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_case ON delivery (case_id);
CREATE INDEX delivery_given_up ON delivery (id) WHERE state = 'given_up';

CREATE TABLE attempt (
    delivery_id bigint NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    number integer NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    error text,
    PRIMARY KEY (delivery_id, number)
);

CREATE TABLE reader_token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    localities text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
