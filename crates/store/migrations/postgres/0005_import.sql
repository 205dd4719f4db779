-- Owner: `earlybell import`. How far each file has come: a file is known by what is in it, not by its name.
CREATE TABLE import_file (
    digest text PRIMARY KEY,
    name text NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    marks bigint NOT NULL CHECK (marks >= 0),
    changed_at bigint NOT NULL,
    finished_at bigint
);
