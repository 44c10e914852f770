-- The queries of stores/sqlite.py, by name. `seq` orders changes: it only grows, and copies of a database that go
-- separate ways do not give the same number to different texts, for it follows the clock.

-- name: create
CREATE TABLE flow (
    name TEXT NOT NULL PRIMARY KEY,
    language TEXT NOT NULL CHECK (language IN ('native', 'fnkit')),
    text BLOB NOT NULL,
    version TEXT NOT NULL,
    seq INTEGER NOT NULL,
    changed TEXT NOT NULL
);
CREATE UNIQUE INDEX flow_by_seq ON flow (seq, name);
CREATE TABLE revision (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('native', 'fnkit')),
    text BLOB NOT NULL,
    seq INTEGER NOT NULL,
    created TEXT NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE INDEX revision_by_seq ON revision (name, seq);

-- name: load
SELECT name, language, CASE WHEN length(text) <= :most THEN CAST(text AS BLOB) END, seq FROM flow ORDER BY name;

-- name: find
SELECT name, language, CASE WHEN length(text) <= :most THEN CAST(text AS BLOB) END, seq FROM flow WHERE name = :name;

-- name: mark
SELECT count(*), max(seq) FROM flow;

-- name: marks
SELECT name, seq FROM flow;

-- name: next
SELECT max(
    :now,
    1 + coalesce((SELECT max(seq) FROM flow), 0),
    1 + coalesce((SELECT max(seq) FROM revision WHERE name = :name), 0)
);

-- name: put
INSERT OR REPLACE INTO flow (name, language, text, version, seq, changed)
VALUES (:name, :language, :text, :version, :seq, :moment);

-- name: keep
INSERT OR REPLACE INTO revision (name, version, language, text, seq, created)
VALUES (:name, :version, :language, :text, :seq, :moment);

-- name: forget
DELETE FROM revision WHERE name = :name AND seq <= (
    SELECT seq FROM revision WHERE name = :name ORDER BY seq DESC LIMIT 1 OFFSET :most
);

-- name: delete
DELETE FROM flow WHERE name = :name;

-- name: revisions
SELECT version, language, CAST(text AS BLOB), created FROM revision WHERE name = :name ORDER BY seq DESC;
