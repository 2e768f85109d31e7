-- Messages of all queues, what became of them, and the settings of the queues. Owner: server/src/queue/store.rs.
--
-- The hot table holds only what is still to be worked off; done and dead rows move to `settled`.
-- States: 0 ready, 1 leased, 2 delayed (waits for due_at), 3 blocked (waits for its order key's turn), 4 done, 5 dead.

CREATE TABLE messages (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    queue          TEXT    NOT NULL,
    state          INTEGER NOT NULL,
    priority       INTEGER NOT NULL,
    due_at         INTEGER NOT NULL,
    lease          INTEGER NOT NULL DEFAULT 0,
    attempt        INTEGER NOT NULL DEFAULT 0,
    tries          INTEGER NOT NULL,
    backoff_ms     INTEGER NOT NULL,
    timeout_ms     INTEGER NOT NULL,
    enqueued_at    INTEGER NOT NULL,
    caller         TEXT    NOT NULL,
    handler        TEXT,
    interface      TEXT,
    function       TEXT,
    type_hash      BLOB,
    order_key      TEXT,
    trace          TEXT,
    attempt_trace  TEXT,
    last_error     TEXT,
    body           BLOB    NOT NULL
) STRICT;

-- The partial indexes carry the state so that counting reads nothing else.

-- What to lease next.
CREATE INDEX messages_ready ON messages (queue, priority DESC, id, state) WHERE state = 0;
-- Which lease ends next, which delay ends next; with the queue, to count them.
CREATE INDEX messages_leased ON messages (due_at, queue, state) WHERE state = 1;
CREATE INDEX messages_delayed ON messages (due_at, queue, state) WHERE state = 2;
-- Who is next in an order key's lane.
CREATE INDEX messages_blocked ON messages (queue, order_key, id, state) WHERE state = 3;
-- At most one message of a lane is ready, leased or delayed.
CREATE UNIQUE INDEX messages_lane ON messages (queue, order_key) WHERE order_key IS NOT NULL AND state <> 3;
-- To page through one queue.
CREATE INDEX messages_queue ON messages (queue, id);

CREATE TABLE settled (
    id             INTEGER PRIMARY KEY,
    queue          TEXT    NOT NULL,
    state          INTEGER NOT NULL,
    priority       INTEGER NOT NULL,
    ended_at       INTEGER NOT NULL,
    lease          INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    tries          INTEGER NOT NULL,
    backoff_ms     INTEGER NOT NULL,
    timeout_ms     INTEGER NOT NULL,
    enqueued_at    INTEGER NOT NULL,
    caller         TEXT    NOT NULL,
    handler        TEXT,
    interface      TEXT,
    function       TEXT,
    type_hash      BLOB,
    order_key      TEXT,
    trace          TEXT,
    attempt_trace  TEXT,
    last_error     TEXT,
    body           BLOB    NOT NULL
) STRICT;

-- To page through, count and retry one queue's dead or done messages.
CREATE INDEX settled_queue ON settled (queue, state, id);
-- Which done message to forget first.
CREATE INDEX settled_done ON settled (ended_at, id) WHERE state = 4;

-- Keys that were seen: remembered until `until_at`, and while their message is still to be worked off.
CREATE TABLE dedupe_keys (
    queue       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    message_id  INTEGER NOT NULL,
    until_at    INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedupe_keys_until ON dedupe_keys (until_at);

CREATE TABLE queues (
    name        TEXT    NOT NULL PRIMARY KEY,
    kind        INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    paused      INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
