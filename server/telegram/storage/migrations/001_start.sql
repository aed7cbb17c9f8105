CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE bots (
    bot_id INTEGER PRIMARY KEY, token TEXT NOT NULL, username TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL,
    settings TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE bot_texts (
    bot_id INTEGER, kind TEXT, scope TEXT, language TEXT, value TEXT NOT NULL,
    PRIMARY KEY (bot_id, kind, scope, language)
) WITHOUT ROWID;

CREATE TABLE users (
    user_id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT, username TEXT, language_code TEXT,
    deactivated INTEGER NOT NULL DEFAULT 0
);
-- A private chat with a bot exists once the person started it. status: member | kicked (blocked)
CREATE TABLE contacts (
    bot_id INTEGER, user_id INTEGER, status TEXT NOT NULL, started REAL NOT NULL, info TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (bot_id, user_id)
) WITHOUT ROWID;
CREATE INDEX contacts_user ON contacts (user_id, started);

CREATE TABLE groups (
    chat_id INTEGER PRIMARY KEY, type TEXT NOT NULL, title TEXT NOT NULL, migrated_to INTEGER,
    info TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE members (
    chat_id INTEGER, user_id INTEGER, status TEXT NOT NULL, PRIMARY KEY (chat_id, user_id)
) WITHOUT ROWID;

-- space: the bot of a private chat, 0 in a group; one person may chat with two bots under one chat id
CREATE TABLE messages (
    space INTEGER, chat_id INTEGER, message_id INTEGER, sender INTEGER NOT NULL, date INTEGER NOT NULL,
    body TEXT NOT NULL, keyboard TEXT, PRIMARY KEY (space, chat_id, message_id)
) WITHOUT ROWID;

CREATE TABLE updates (
    bot_id INTEGER, update_id INTEGER, created REAL NOT NULL, body TEXT NOT NULL, PRIMARY KEY (bot_id, update_id)
) WITHOUT ROWID;
CREATE TABLE delivery (
    bot_id INTEGER PRIMARY KEY, allowed TEXT NOT NULL DEFAULT '[]', url TEXT NOT NULL DEFAULT '',
    secret TEXT NOT NULL DEFAULT '', max_connections INTEGER NOT NULL DEFAULT 40, error_date INTEGER, error TEXT
);

CREATE TABLE files (
    file_id TEXT PRIMARY KEY, bot_id INTEGER NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX files_path ON files (bot_id, path, file_id);

CREATE TABLE queries (
    query_id TEXT PRIMARY KEY, bot_id INTEGER NOT NULL, user_id INTEGER NOT NULL, chat_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL, asked REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE polls (
    poll_id TEXT PRIMARY KEY, bot_id INTEGER NOT NULL, chat_id INTEGER NOT NULL, message_id INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE votes (poll_id TEXT, user_id INTEGER, options TEXT NOT NULL, PRIMARY KEY (poll_id, user_id)) WITHOUT ROWID;

-- What happened on the side of the people, in order, for the page and for replays.
CREATE TABLE events (seq INTEGER PRIMARY KEY, bot_id INTEGER NOT NULL, chat_id INTEGER NOT NULL, body TEXT NOT NULL);
