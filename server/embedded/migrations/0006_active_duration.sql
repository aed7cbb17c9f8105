-- how long a running task has been active, as of its last sign of life
CREATE TRIGGER task_active AFTER UPDATE OF last_update ON task
WHEN OLD.status = 'in_progress' AND NEW.status = 'in_progress' AND NEW.started IS NOT NULL BEGIN
  UPDATE task SET active_duration = max(0, (NEW.last_update - NEW.started) / 1000000) WHERE id = NEW.id;
END;
