-- In the order in which deliveries are taken, so that the first few are found without sorting all that are owed.
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (receiver, next_at, id) WHERE state IN ('waiting', 'sending');
