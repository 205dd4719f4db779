-- From now on due_at tells when time alone calls for a child to be judged. Nobody knows it of the rows that are here: all are judged once
-- more, as by other rules than before, so that what is old by now makes no message.
UPDATE record SET judged_with = -1;
