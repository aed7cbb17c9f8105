-- Times are microseconds since 1970 UTC. The chats table is the only place where a Telegram id meets a pseudonym.
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE surveys (version TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, added_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE studies (study TEXT PRIMARY KEY, survey_version TEXT NOT NULL, ends_at INTEGER, retention_days INTEGER, purged_at INTEGER) WITHOUT ROWID;

CREATE TABLE chats (
  chat_id INTEGER PRIMARY KEY,
  person TEXT UNIQUE,
  language TEXT NOT NULL,
  study TEXT,
  step TEXT NOT NULL DEFAULT 'new',
  draft TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE people (
  person TEXT PRIMARY KEY,
  study TEXT NOT NULL,
  language TEXT NOT NULL,
  timezone TEXT NOT NULL,
  country TEXT,
  state TEXT NOT NULL,
  consent_version TEXT NOT NULL,
  consented_at INTEGER NOT NULL,
  enrolled_at INTEGER,
  paused_until INTEGER,
  written_at INTEGER
) WITHOUT ROWID;
CREATE INDEX people_state ON people (study, state);
CREATE TABLE consents (person TEXT NOT NULL, version TEXT NOT NULL, language TEXT NOT NULL, agreed_at INTEGER NOT NULL, withdrawn_at INTEGER);
CREATE TABLE consent_texts (version TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (version, language)) WITHOUT ROWID;
CREATE TABLE erasures (person TEXT PRIMARY KEY, study TEXT NOT NULL, asked_at INTEGER NOT NULL, sheet_done_at INTEGER, models_done_at INTEGER) WITHOUT ROWID;

CREATE TABLE slots (person TEXT NOT NULL, slot_at INTEGER NOT NULL, day INTEGER NOT NULL, beep INTEGER NOT NULL, PRIMARY KEY (person, slot_at)) WITHOUT ROWID;
CREATE INDEX slots_at ON slots (slot_at);

CREATE TABLE prompts (
  prompt_id TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  study TEXT NOT NULL,
  survey_version TEXT NOT NULL,
  day INTEGER NOT NULL,
  beep INTEGER NOT NULL,
  slot_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  timezone TEXT NOT NULL,
  state TEXT NOT NULL,
  sent_at INTEGER,
  message_id INTEGER,
  started_at INTEGER,
  touched_at INTEGER,
  position INTEGER NOT NULL DEFAULT 0,
  answers TEXT NOT NULL DEFAULT '{}',
  scratch TEXT NOT NULL DEFAULT '',
  stale INTEGER NOT NULL DEFAULT 0,
  written_at INTEGER
) WITHOUT ROWID;
CREATE INDEX prompts_person ON prompts (person, slot_at);
CREATE INDEX prompts_open ON prompts (expires_at) WHERE state IN ('planned', 'sent', 'started');
CREATE INDEX prompts_stale ON prompts (prompt_id) WHERE stale = 1;
CREATE INDEX prompts_unwritten ON prompts (slot_at)
  WHERE written_at IS NULL AND state NOT IN ('planned', 'sent', 'started');

CREATE TABLE responses (
  response_id TEXT PRIMARY KEY,
  prompt_id TEXT NOT NULL,
  person TEXT NOT NULL,
  study TEXT NOT NULL,
  survey_version TEXT NOT NULL,
  revision INTEGER NOT NULL,
  status TEXT NOT NULL,
  day INTEGER NOT NULL,
  beep INTEGER NOT NULL,
  slot_at INTEGER NOT NULL,
  sent_at INTEGER,
  started_at INTEGER,
  answered_at INTEGER NOT NULL,
  timezone TEXT NOT NULL,
  answers TEXT NOT NULL,
  written_at INTEGER
) WITHOUT ROWID;
CREATE INDEX responses_unwritten ON responses (answered_at) WHERE written_at IS NULL;
CREATE INDEX responses_person ON responses (person, answered_at);

CREATE TABLE inbox (
  update_id INTEGER PRIMARY KEY,
  chat_id INTEGER,
  body TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  done_at INTEGER,
  failure TEXT
);
CREATE INDEX inbox_waiting ON inbox (update_id) WHERE done_at IS NULL;

CREATE TABLE outbox (
  key TEXT PRIMARY KEY,
  person TEXT,
  chat_id INTEGER,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  expires_at INTEGER,
  state TEXT NOT NULL DEFAULT 'waiting',
  attempts INTEGER NOT NULL DEFAULT 0,
  closed_at INTEGER,
  telegram_id INTEGER,
  reason TEXT
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'waiting';
CREATE INDEX outbox_sending ON outbox (key) WHERE state = 'sending';
CREATE INDEX outbox_person ON outbox (person);

CREATE TABLE messages (
  message_id TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  kind TEXT NOT NULL,
  language TEXT NOT NULL,
  text TEXT NOT NULL,
  facts TEXT NOT NULL,
  evidence TEXT NOT NULL,
  policy_id TEXT NOT NULL,
  policy_version TEXT NOT NULL,
  model_id TEXT,
  model_version TEXT,
  data_hash TEXT NOT NULL,
  flow_run_id TEXT NOT NULL,
  task_run_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  written_at INTEGER
) WITHOUT ROWID;
CREATE INDEX messages_person ON messages (person, created_at);

CREATE TABLE snapshots (data_hash TEXT PRIMARY KEY, columns TEXT NOT NULL, rows BLOB NOT NULL, saved_at INTEGER NOT NULL, erased INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE ledger (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX ledger_subject ON ledger (subject);
CREATE INDEX ledger_event ON ledger (event, at);

CREATE TABLE downtime (started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL);
