-- One message tells all that changed in a case at a moment, or, in a storm, what changed in many: which changes it tells is a table.
CREATE TABLE told (
    alert_id text NOT NULL,
    receiver text NOT NULL,
    version integer NOT NULL,
    message_id text NOT NULL REFERENCES delivery (message_id) ON DELETE CASCADE,
    PRIMARY KEY (alert_id, receiver, version)
);
CREATE INDEX told_message ON told (message_id);
INSERT INTO told SELECT alert_id, receiver, version, message_id FROM delivery WHERE case_id IS NOT NULL;
ALTER TABLE delivery DROP COLUMN alert_id, DROP COLUMN version;

-- How many changes a message tells; what a receiver was told in an hour is their sum.
ALTER TABLE delivery ADD COLUMN changes integer NOT NULL DEFAULT 1;
CREATE INDEX delivery_hour ON delivery (receiver, created_at);

-- Above a team's limit messages are gathered until the hour is over, then they become one.
ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_state_check
    CHECK (state IN ('gathered', 'waiting', 'sending', 'delivered', 'given_up'));
CREATE INDEX delivery_gathered ON delivery (next_at, receiver) WHERE state = 'gathered';
