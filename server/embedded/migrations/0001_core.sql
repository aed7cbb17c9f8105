-- Times are microseconds since 1970. JSON columns hold what the API calls an object or a list.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE company (id TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE user (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, company TEXT NOT NULL, name TEXT NOT NULL, given_name TEXT,
  family_name TEXT, avatar TEXT, email TEXT, role TEXT NOT NULL DEFAULT 'user', created INTEGER NOT NULL,
  created_in_version TEXT, preferences TEXT
);

CREATE TABLE credential (
  access_key TEXT PRIMARY KEY, secret_hash TEXT NOT NULL, user TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE,
  label TEXT, created INTEGER NOT NULL, last_used INTEGER, last_used_from TEXT
) WITHOUT ROWID;
CREATE INDEX credential_user ON credential(user);

CREATE TABLE revoked_token (digest TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE project (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, company TEXT NOT NULL, user TEXT, name TEXT NOT NULL,
  basename TEXT NOT NULL, description TEXT, created INTEGER NOT NULL, tags TEXT, system_tags TEXT,
  default_output_destination TEXT, last_update INTEGER, featured INTEGER, parent TEXT, path TEXT, logo_url TEXT,
  logo_blob TEXT
);
CREATE UNIQUE INDEX project_name ON project(company, name);
CREATE INDEX project_parent ON project(parent);

CREATE TABLE task (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, company TEXT NOT NULL, user TEXT, name TEXT NOT NULL,
  type TEXT NOT NULL, status TEXT NOT NULL, status_reason TEXT, status_message TEXT, status_changed INTEGER,
  comment TEXT, report TEXT, report_assets TEXT, created INTEGER NOT NULL, started INTEGER, completed INTEGER,
  published INTEGER, active_duration INTEGER, parent TEXT, project TEXT, output TEXT, execution TEXT, tags TEXT,
  system_tags TEXT, script TEXT, last_worker TEXT, last_worker_report INTEGER, last_update INTEGER,
  last_change INTEGER, last_changed_by TEXT, last_iteration INTEGER, metric_stats TEXT, hyperparams TEXT,
  configuration TEXT, runtime TEXT, models TEXT, container TEXT, enqueue_status TEXT
);
CREATE INDEX task_project ON task(project, last_update);
CREATE INDEX task_parent ON task(parent);
CREATE INDEX task_status ON task(status, last_update);
CREATE INDEX task_last_update ON task(last_update);
CREATE INDEX task_created ON task(created);
CREATE INDEX task_name ON task(name);

CREATE TABLE model (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, company TEXT NOT NULL, user TEXT, name TEXT NOT NULL,
  parent TEXT, project TEXT, created INTEGER NOT NULL, task TEXT, comment TEXT, tags TEXT, system_tags TEXT,
  uri TEXT, framework TEXT, design TEXT, labels TEXT, ready INTEGER, ui_cache TEXT, last_update INTEGER,
  last_change INTEGER, last_changed_by TEXT, metadata TEXT, last_iteration INTEGER, metric_stats TEXT
);
CREATE INDEX model_project ON model(project, last_update);
CREATE INDEX model_task ON model(task);
CREATE INDEX model_uri ON model(uri);
CREATE INDEX model_name ON model(name);

CREATE TABLE queue (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, company TEXT NOT NULL, user TEXT, name TEXT NOT NULL,
  display_name TEXT, created INTEGER NOT NULL, tags TEXT, system_tags TEXT, last_update INTEGER, metadata TEXT
);
CREATE UNIQUE INDEX queue_name ON queue(company, name);

-- one row per waiting task; a task waits in one queue at most, which makes delivery exactly once
CREATE TABLE queue_entry (
  queue TEXT NOT NULL REFERENCES queue(id) ON DELETE CASCADE, position REAL NOT NULL, task TEXT NOT NULL UNIQUE,
  added INTEGER NOT NULL, PRIMARY KEY (queue, position)
) WITHOUT ROWID;

-- tags of every kind of object, kept by the triggers below so that filters and lists of tags never read the objects
CREATE TABLE tag (
  kind TEXT NOT NULL, field TEXT NOT NULL, tag TEXT NOT NULL, object TEXT NOT NULL,
  PRIMARY KEY (kind, field, tag, object)
) WITHOUT ROWID;
CREATE INDEX tag_object ON tag(object, field);

CREATE TRIGGER task_tags_new AFTER INSERT ON task BEGIN
  INSERT OR IGNORE INTO tag SELECT 'task', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'task', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER task_tags_changed AFTER UPDATE OF tags, system_tags ON task BEGIN
  DELETE FROM tag WHERE object = OLD.id;
  INSERT OR IGNORE INTO tag SELECT 'task', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'task', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER task_tags_gone AFTER DELETE ON task BEGIN DELETE FROM tag WHERE object = OLD.id; END;

CREATE TRIGGER model_tags_new AFTER INSERT ON model BEGIN
  INSERT OR IGNORE INTO tag SELECT 'model', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'model', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER model_tags_changed AFTER UPDATE OF tags, system_tags ON model BEGIN
  DELETE FROM tag WHERE object = OLD.id;
  INSERT OR IGNORE INTO tag SELECT 'model', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'model', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER model_tags_gone AFTER DELETE ON model BEGIN DELETE FROM tag WHERE object = OLD.id; END;

CREATE TRIGGER project_tags_new AFTER INSERT ON project BEGIN
  INSERT OR IGNORE INTO tag SELECT 'project', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'project', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER project_tags_changed AFTER UPDATE OF tags, system_tags ON project BEGIN
  DELETE FROM tag WHERE object = OLD.id;
  INSERT OR IGNORE INTO tag SELECT 'project', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'project', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER project_tags_gone AFTER DELETE ON project BEGIN DELETE FROM tag WHERE object = OLD.id; END;

CREATE TRIGGER queue_tags_new AFTER INSERT ON queue BEGIN
  INSERT OR IGNORE INTO tag SELECT 'queue', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'queue', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER queue_tags_changed AFTER UPDATE OF tags, system_tags ON queue BEGIN
  DELETE FROM tag WHERE object = OLD.id;
  INSERT OR IGNORE INTO tag SELECT 'queue', 'tags', value, NEW.id FROM json_each(NEW.tags);
  INSERT OR IGNORE INTO tag SELECT 'queue', 'system_tags', value, NEW.id FROM json_each(NEW.system_tags);
END;
CREATE TRIGGER queue_tags_gone AFTER DELETE ON queue BEGIN DELETE FROM tag WHERE object = OLD.id; END;

-- one row per metric and variant of a task or model: the events below hang on it, and it carries the last metrics
CREATE TABLE series (
  id INTEGER PRIMARY KEY, object TEXT NOT NULL, metric TEXT NOT NULL, variant TEXT NOT NULL,
  metric_hash TEXT NOT NULL, variant_hash TEXT NOT NULL,
  value REAL, min_value REAL, min_value_iteration INTEGER, max_value REAL, max_value_iteration INTEGER,
  first_value REAL, first_value_iteration INTEGER, count INTEGER NOT NULL DEFAULT 0, mean_value REAL,
  x_axis_label TEXT, UNIQUE (object, metric, variant)
);
CREATE INDEX series_value ON series(metric_hash, variant_hash, value, object);

CREATE TABLE scalar (
  series INTEGER NOT NULL REFERENCES series(id) ON DELETE CASCADE, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  value REAL NOT NULL, PRIMARY KEY (series, iter)
) WITHOUT ROWID;

-- plots and debug samples: the event as it was sent, without the parts that have columns
CREATE TABLE plot (
  series INTEGER NOT NULL REFERENCES series(id) ON DELETE CASCADE, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  event TEXT NOT NULL, PRIMARY KEY (series, iter)
);
CREATE TABLE image (
  series INTEGER NOT NULL REFERENCES series(id) ON DELETE CASCADE, iter INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  url TEXT, event TEXT NOT NULL, PRIMARY KEY (series, iter)
);
CREATE TABLE log (
  id INTEGER PRIMARY KEY, task TEXT NOT NULL, timestamp INTEGER NOT NULL, level TEXT, worker TEXT, msg TEXT NOT NULL,
  received INTEGER NOT NULL
);
CREATE INDEX log_task ON log(task, timestamp, id);

CREATE TABLE worker (
  id TEXT PRIMARY KEY, company TEXT NOT NULL, user TEXT, registered INTEGER, last_activity INTEGER,
  last_report INTEGER, timeout INTEGER, ip TEXT, task TEXT, project TEXT, queue TEXT, queues TEXT, tags TEXT,
  system_tags TEXT, stats TEXT, runtime TEXT
) WITHOUT ROWID;
