-- Spans are packed in blocks instead of one row each: `server/src/traces/block.rs` has their form. The rows of the table
-- `spans` are packed when the file is opened, and the table is dropped then.

-- A block has some spans of one trace. Its id is the trace's, shifted left by 20, and its number among the trace's
-- blocks; in the order of the ids they are the spans in the order of their arrival.
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    spans INTEGER NOT NULL,
    -- What trees, windows and most searches read, before what only a look at one span does.
    head BLOB NOT NULL,
    rest BLOB NOT NULL
) STRICT;

-- Which span continues which one of another trace; `start_at` is the continuing span's.
CREATE TABLE links (
    link_trace BLOB NOT NULL,
    link_span INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    span INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    PRIMARY KEY (link_trace, link_span, trace, span)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_trace ON links (trace);

-- Spans that others of the trace speak of and that are not there, at least.
ALTER TABLE traces ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;

-- For a person with `sqlite3`: SELECT * FROM trace_list LIMIT 20;
CREATE VIEW trace_list AS
SELECT
    lower(hex(t.trace_id)) AS trace_id,
    strftime('%Y-%m-%d %H:%M:%f', t.start_at / 1e9, 'unixepoch') AS started,
    h.text AS handler,
    t.root_name AS name,
    round((t.end_at - t.start_at) / 1e6, 3) AS ms,
    t.spans,
    t.errors,
    t.missing,
    p.text AS placement,
    t.root_error AS error
FROM traces t
JOIN words h ON h.id = t.root_handler
LEFT JOIN words p ON p.id = t.placement
ORDER BY t.id DESC;
