-- What queues and workers were doing over time, for their pages. Times are milliseconds since 1970.
CREATE TABLE queue_report (
  queue TEXT NOT NULL, at INTEGER NOT NULL, waited REAL, length INTEGER NOT NULL
);
CREATE INDEX queue_report_at ON queue_report(at);

CREATE TABLE worker_report (
  worker TEXT NOT NULL, company TEXT NOT NULL, at INTEGER NOT NULL, task TEXT, stats TEXT
);
CREATE INDEX worker_report_at ON worker_report(company, at);

-- which tasks name which models, kept by triggers: removing a model must not read every task
CREATE TABLE task_model (
  model TEXT NOT NULL, task TEXT NOT NULL, side TEXT NOT NULL, PRIMARY KEY (model, task, side)
) WITHOUT ROWID;
CREATE INDEX task_model_task ON task_model(task);
CREATE TRIGGER task_models_new AFTER INSERT ON task WHEN NEW.models <> '{"input":[],"output":[]}' BEGIN
  INSERT OR IGNORE INTO task_model SELECT value ->> '$.model', NEW.id, 'input' FROM json_each(NEW.models, '$.input')
    WHERE value ->> '$.model' IS NOT NULL;
  INSERT OR IGNORE INTO task_model SELECT value ->> '$.model', NEW.id, 'output' FROM json_each(NEW.models, '$.output')
    WHERE value ->> '$.model' IS NOT NULL;
END;
CREATE TRIGGER task_models_changed AFTER UPDATE OF models ON task BEGIN
  DELETE FROM task_model WHERE task = OLD.id;
  INSERT OR IGNORE INTO task_model SELECT value ->> '$.model', NEW.id, 'input' FROM json_each(NEW.models, '$.input')
    WHERE value ->> '$.model' IS NOT NULL;
  INSERT OR IGNORE INTO task_model SELECT value ->> '$.model', NEW.id, 'output' FROM json_each(NEW.models, '$.output')
    WHERE value ->> '$.model' IS NOT NULL;
END;
CREATE TRIGGER task_models_gone AFTER DELETE ON task BEGIN DELETE FROM task_model WHERE task = OLD.id; END;
