-- A summary of an import is owed to a receiver, and is about no single case.
ALTER TABLE delivery ALTER COLUMN case_id DROP NOT NULL;
