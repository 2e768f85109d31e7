-- Finished spans and, kept beside them, one row per trace, so that a list of traces reads no spans.
-- Owner: server/src/traces/store.rs. Times are ns; ids of traces are 16 bytes, ids of spans are the signed 64-bit
-- integers of the same bits.

-- Names of handlers, nodes, edges and placements. There are few of them and every span carries five.
CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- `id` is the order of arrival: lists page by it and the lowest are deleted first, so a trace never changes its place.
CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    root_span INTEGER NOT NULL,
    root_name TEXT NOT NULL,
    root_handler INTEGER NOT NULL REFERENCES words (id),
    root_node INTEGER NOT NULL REFERENCES words (id),
    root_ns INTEGER NOT NULL,
    root_error TEXT,
    placement INTEGER REFERENCES words (id),
    -- The handlers' word ids, 4 bytes each, little-endian: only for showing; `parts` is for searching.
    handlers BLOB NOT NULL
) STRICT;

CREATE INDEX traces_failed ON traces (id) WHERE errors > 0;

-- Which handlers and edges (both are words) took part in which trace.
CREATE TABLE parts (
    word INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (word, trace)
) STRICT, WITHOUT ROWID;

CREATE TABLE spans (
    trace INTEGER NOT NULL,
    span_id INTEGER NOT NULL,
    parent_id INTEGER,
    kind INTEGER NOT NULL,
    handler INTEGER NOT NULL,
    node INTEGER NOT NULL,
    name TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    -- 0 ok, -1 the callee's own err, else the error code.
    status INTEGER NOT NULL,
    message TEXT,
    peer INTEGER,
    transport INTEGER,
    cold INTEGER,
    edge INTEGER,
    placement INTEGER,
    link_trace BLOB,
    link_span INTEGER,
    -- The nine steps: the first four only of a client span, the others of both sides of a call.
    lift_ns INTEGER,
    send_ns INTEGER,
    travel_ns INTEGER,
    lower_ns INTEGER,
    total_ns INTEGER,
    decode_ns INTEGER,
    wait_ns INTEGER,
    run_ns INTEGER,
    outgoing_ns INTEGER,
    encode_ns INTEGER,
    -- What is only shown, in postcard's form: the other attributes, and the log lines.
    attributes BLOB,
    logs BLOB
) STRICT;

CREATE UNIQUE INDEX spans_place ON spans (trace, span_id);

-- Finds the traces that continue a given one.
CREATE INDEX spans_linked ON spans (link_trace) WHERE link_trace IS NOT NULL;
