-- A child on no roll keeps its case: since when, in days since 1970-01-01.
ALTER TABLE child_case ADD COLUMN off_roll_since INTEGER;
