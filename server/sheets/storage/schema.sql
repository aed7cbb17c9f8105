create table if not exists files (
    id text primary key,
    name text not null,
    mime text not null,
    owner text not null,
    created integer not null,   -- milliseconds since 1970, UTC
    modified integer not null,
    parents text not null,      -- JSON list of folder ids
    doc text not null           -- JSON: spreadsheet properties, named ranges, developer metadata
) strict;
create table if not exists gone (id text primary key) strict;  -- deleted files: 404 for ever, not 403
create table if not exists permissions (
    file text not null references files (id) on delete cascade,
    id text not null,
    body text not null,
    primary key (file, id)
) strict;
create table if not exists sheets (
    grid integer primary key,
    file text not null references files (id) on delete cascade,
    sheet_id integer not null,
    position integer not null,
    doc text not null,          -- JSON: properties, merges, groups, filters, sizes of rows and columns
    unique (file, sheet_id)
) strict;
-- One row of a sheet is one row here, so that an append writes what is appended and nothing else.
create table if not exists rows (
    grid integer not null references sheets (grid) on delete cascade,
    r integer not null,
    cells text not null,
    primary key (grid, r)
) strict, without rowid;
create table if not exists tokens (hash text primary key, email text not null, scopes text not null, expires real not null) strict;
create table if not exists faults (id integer primary key, body text not null) strict;
create table if not exists settings (name text primary key, value text not null) strict;
