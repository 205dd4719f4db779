-- A pupil's part of a message: an erasure takes it along.
ALTER TABLE dead_letter ADD COLUMN upn bigint;
CREATE INDEX dead_letter_upn ON dead_letter (upn) WHERE upn IS NOT NULL;

-- The register that caused the change: the trace from a school's request to the team's message.
ALTER TABLE delivery ADD COLUMN register_id text NOT NULL DEFAULT '';

-- Owner: rules. The schools of a pupil's marks and enrolments, written with the records: what a school asks about its own
-- registers is answered from the records of its pupils.
CREATE TABLE pupil_school (
    urn integer NOT NULL,
    upn bigint NOT NULL,
    PRIMARY KEY (urn, upn)
);
CREATE INDEX pupil_school_upn ON pupil_school (upn);

-- Marks are counted from the records: a partial correction does not replace what came before.
ALTER TABLE register DROP COLUMN attending;
ALTER TABLE register DROP COLUMN authorised;
ALTER TABLE register DROP COLUMN unauthorised;
ALTER TABLE register DROP COLUMN not_possible;
ALTER TABLE register DROP COLUMN not_taken;
