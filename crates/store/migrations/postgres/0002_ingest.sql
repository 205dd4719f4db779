-- What ingest keeps: keys, which register of which school and session has come, names.

CREATE TABLE api_key (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,
    hash bytea NOT NULL,
    urns text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
CREATE INDEX api_key_name ON api_key (name, id);

-- A row a part of a register: its newest revision.
CREATE TABLE register (
    urn integer NOT NULL,
    session integer NOT NULL,
    part integer NOT NULL,
    revised_at bigint NOT NULL,
    id text NOT NULL,
    received_at bigint NOT NULL,
    attending integer NOT NULL,
    authorised integer NOT NULL,
    unauthorised integer NOT NULL,
    not_possible integer NOT NULL,
    not_taken integer NOT NULL,
    refused integer NOT NULL,
    PRIMARY KEY (urn, session, part)
);

CREATE TABLE person (
    upn bigint NOT NULL,
    urn integer NOT NULL,
    given_name text NOT NULL,
    given_name_at bigint NOT NULL,
    family_name text NOT NULL,
    family_name_at bigint NOT NULL,
    birth_date text NOT NULL,
    birth_date_at bigint NOT NULL,
    PRIMARY KEY (upn, urn)
);
