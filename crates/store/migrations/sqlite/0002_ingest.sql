-- What ingest keeps: keys, which register of which school and session has come, names.

CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL,
    urns TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_key_name ON api_key (name, id);

-- A row a part of a register: its newest revision.
CREATE TABLE register (
    urn INTEGER NOT NULL,
    session INTEGER NOT NULL,
    part INTEGER NOT NULL,
    revised_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    attending INTEGER NOT NULL,
    authorised INTEGER NOT NULL,
    unauthorised INTEGER NOT NULL,
    not_possible INTEGER NOT NULL,
    not_taken INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (urn, session, part)
) STRICT;

CREATE TABLE person (
    upn INTEGER NOT NULL,
    urn INTEGER NOT NULL,
    given_name TEXT NOT NULL,
    given_name_at INTEGER NOT NULL,
    family_name TEXT NOT NULL,
    family_name_at INTEGER NOT NULL,
    birth_date TEXT NOT NULL,
    birth_date_at INTEGER NOT NULL,
    PRIMARY KEY (upn, urn)
) STRICT;
