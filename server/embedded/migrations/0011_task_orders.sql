-- the other columns by which a table of tasks is put in order: a page is read off the index and stops when it is full
CREATE INDEX task_type ON task(type);
CREATE INDEX task_started ON task(started);
CREATE INDEX task_completed ON task(completed);
CREATE INDEX task_last_iteration ON task(last_iteration);
CREATE INDEX task_active_duration ON task(active_duration);
