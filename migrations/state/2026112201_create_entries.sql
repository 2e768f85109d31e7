-- What handlers remember: one row a key. Owner: server/src/state/store.rs.
--
-- Versions come from one counter, so that a key that was deleted and written again never has an old version.

CREATE TABLE entries (
    handler     TEXT    NOT NULL,
    bucket      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    written_at  INTEGER NOT NULL,
    value       BLOB    NOT NULL,
    PRIMARY KEY (handler, bucket, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last  INTEGER NOT NULL
) STRICT;

INSERT INTO versions (id, last) VALUES (1, 0);
