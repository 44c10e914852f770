-- The queries of the journal (stores/journal*.py), by name.
-- No table has a rowid: rows lie in the order in which they are read, runs by their ids, which are sorted by time.

-- name: create
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0);
CREATE TABLE definition (digest BLOB NOT NULL PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE run (
    id BLOB NOT NULL PRIMARY KEY,
    flow TEXT NOT NULL,
    version TEXT NOT NULL,
    program BLOB NOT NULL,
    kernel INTEGER NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    ended REAL,
    due REAL
) WITHOUT ROWID;
CREATE INDEX run_by_state ON run (state, id);
CREATE INDEX run_by_flow ON run (flow, id);
CREATE INDEX run_by_due ON run (due) WHERE due IS NOT NULL;
CREATE TABLE event (
    run BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    body BLOB NOT NULL,
    size INTEGER,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX event_once ON event (run, path, kind);
CREATE INDEX event_by_large_body ON event (body) WHERE size IS NOT NULL;
CREATE TABLE start_key (
    key BLOB NOT NULL PRIMARY KEY,
    run BLOB NOT NULL,
    body BLOB NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX start_key_by_expiry ON start_key (expires);

-- name: own
UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value;

-- name: epoch
SELECT value FROM meta WHERE name = 'epoch';

-- name: probe
UPDATE meta SET value = value WHERE name = 'epoch';

-- name: define
INSERT INTO definition VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: key
INSERT INTO start_key VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET run = excluded.run, body = excluded.body, expires = excluded.expires;

-- name: forget_keys
DELETE FROM start_key WHERE key IN (SELECT key FROM start_key WHERE expires < ? ORDER BY expires LIMIT ?);

-- name: old_runs
SELECT id FROM run WHERE state = ? AND id < ? AND ended < ? ORDER BY id LIMIT ?;

-- name: large_bodies
SELECT DISTINCT body FROM event WHERE run = ? AND size IS NOT NULL;

-- name: is_kept
SELECT 1 FROM event WHERE size IS NOT NULL AND body = ? LIMIT 1;

-- name: delete_events
DELETE FROM event WHERE run = ? RETURNING 1;

-- name: delete_run
DELETE FROM run WHERE id = ?;

-- name: row
INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: change_row
ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended, due = excluded.due;

-- name: find_run
SELECT id, flow, version, program, kernel, state, created, ended, due FROM run WHERE id = ?;

-- name: events
SELECT run, seq, at, kind, path, body, size FROM event WHERE run = ? AND seq >= ? ORDER BY seq;

-- name: find_definition
SELECT text FROM definition WHERE digest = ?;

-- name: find_key
SELECT key, run, body, expires FROM start_key WHERE key = ? AND expires >= ?;

-- name: live
SELECT id FROM run WHERE state IN ('queued', 'running', 'undoing') ORDER BY id;

-- name: due
SELECT id FROM run WHERE due <= ? ORDER BY due LIMIT ?;

-- name: next_due
SELECT min(due) FROM run WHERE due IS NOT NULL;

-- name: counts
SELECT state, count(*) FROM run WHERE state NOT IN ('succeeded', 'failed', 'undone', 'cancelled') GROUP BY state;
