-- Localities that see a case too, because the child is registered at one of their schools as well; a line each.
ALTER TABLE child_case ADD COLUMN seen_by text NOT NULL DEFAULT '';
