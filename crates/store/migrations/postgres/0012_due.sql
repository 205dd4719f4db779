-- From now on due_at tells when time alone calls for a child to be judged. Nobody knows it of the rows that are here: all are judged once
-- more, as children that nobody has judged.
UPDATE record SET judged_with = 0;
