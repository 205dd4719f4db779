-- Owner: `earlybell import`. How far each file has come: a file is known by what is in it, not by its name.
CREATE TABLE import_file (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL CHECK (rows >= 0),
    marks INTEGER NOT NULL CHECK (marks >= 0),
    changed_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
