-- Times: bigint, microseconds since the Unix epoch, UTC. Sessions: integer, days since 1970-01-01 times 2, plus 1 for PM.
-- UPNs: bigint, packed. School years: smallint, the year they begin in. Each table has one owner: see the module of its name.

CREATE TABLE installation (
    id smallint PRIMARY KEY CHECK (id = 1),
    event_partitions integer NOT NULL CHECK (event_partitions > 0),
    clock text NOT NULL CHECK (clock IN ('wall', 'registers')),
    clock_session integer,
    namespace text NOT NULL
);

CREATE TABLE policy_set (
    version bigint PRIMARY KEY CHECK (version > 0),
    applied_at bigint NOT NULL,
    applied_by text NOT NULL,
    files text NOT NULL
);

-- The pointer is moved before its set is inserted: its row lock gives the version out, so the reference is checked at commit.
CREATE TABLE policy_in_force (
    id smallint PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL REFERENCES policy_set (version) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE position (
    topic text NOT NULL,
    part integer NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    next_offset bigint NOT NULL,
    checkpoint_offset bigint NOT NULL CHECK (checkpoint_offset >= 0),
    checkpoint_at bigint NOT NULL,
    outbox_number bigint NOT NULL CHECK (outbox_number >= 0),
    PRIMARY KEY (topic, part),
    CONSTRAINT position_checkpoint_not_ahead CHECK (checkpoint_offset <= next_offset)
) WITH (fillfactor = 50);

-- Rewritten again and again with no indexed column changing: the room left in a page keeps those updates inside it.
CREATE TABLE record (
    upn bigint NOT NULL,
    school_year smallint NOT NULL,
    part integer NOT NULL,
    body bytea NOT NULL,
    due_at bigint,
    judged_with bigint NOT NULL,
    PRIMARY KEY (upn, school_year)
) WITH (fillfactor = 70);
CREATE INDEX record_partition ON record (part, school_year, upn);

CREATE TABLE enrolment (
    upn bigint PRIMARY KEY,
    part integer NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX enrolment_partition ON enrolment (part, upn);

CREATE TABLE published (
    upn bigint NOT NULL,
    school_year smallint NOT NULL,
    rule text NOT NULL,
    part integer NOT NULL,
    alert_id text NOT NULL,
    episode integer NOT NULL,
    version integer NOT NULL,
    level smallint NOT NULL,
    since integer NOT NULL,
    raised_at integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (upn, school_year, rule)
) WITH (fillfactor = 80);
CREATE INDEX published_partition ON published (part, upn, school_year, rule);

CREATE TABLE outbox (
    part integer NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    put_at bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (part, number)
);

CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    topic text NOT NULL,
    part integer NOT NULL,
    message_offset bigint NOT NULL,
    message_at bigint NOT NULL,
    headers text NOT NULL,
    place text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    urn integer,
    payload bytea NOT NULL,
    created_at bigint NOT NULL,
    replayed_at bigint,
    UNIQUE (topic, part, message_offset, place)
);
CREATE INDEX dead_letter_open ON dead_letter (reason, id) WHERE replayed_at IS NULL;

CREATE TABLE held (
    upn bigint PRIMARY KEY,
    part integer NOT NULL,
    reason text NOT NULL,
    since bigint NOT NULL,
    event_offset bigint NOT NULL
);
CREATE INDEX held_partition ON held (part, upn);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    upn bigint,
    detail text NOT NULL
);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit is append only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
