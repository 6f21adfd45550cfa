"""The store's tables and statements (SQLite)."""

SCHEMA_VERSION = 1

PRAGMAS = (
    "PRAGMA page_size = 16384",
    "PRAGMA journal_mode = WAL",
    # FULL: a commit is on disk when it returns, also in WAL mode (SQLite, "PRAGMA synchronous").
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA cache_size = -32768",
)

SCHEMA = """
CREATE TABLE entities (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
  created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE batches (
  id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, first_sequence INTEGER NOT NULL, enqueued_at REAL NOT NULL,
  heads TEXT NOT NULL, lengths BLOB NOT NULL, bodies BLOB NOT NULL);
CREATE INDEX batches_by_queue ON batches (queue);
CREATE TABLE gone (batch INTEGER PRIMARY KEY, mask BLOB NOT NULL);
CREATE TABLE marks (
  batch INTEGER NOT NULL, sequence INTEGER NOT NULL, lane INTEGER NOT NULL, state INTEGER NOT NULL,
  delivery_count INTEGER NOT NULL, overlay BLOB, PRIMARY KEY (batch, sequence)) WITHOUT ROWID;
CREATE TABLE counters (queue INTEGER PRIMARY KEY, next_sequence INTEGER NOT NULL);
CREATE TABLE history (queue INTEGER NOT NULL, at REAL NOT NULL, keys TEXT NOT NULL);
CREATE INDEX history_by_queue ON history (queue, at);
CREATE TABLE sessions (
  queue INTEGER NOT NULL, session TEXT NOT NULL, state BLOB NOT NULL, updated_at REAL NOT NULL,
  PRIMARY KEY (queue, session)) WITHOUT ROWID;
"""

INSERT_BATCH = (
    "INSERT INTO batches (id, queue, first_sequence, enqueued_at, heads, lengths, bodies) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
PUT_MARK = (
    "INSERT OR REPLACE INTO marks (batch, sequence, lane, state, delivery_count, overlay) VALUES (?, ?, ?, ?, ?, ?)"
)
PUT_GONE = "INSERT OR REPLACE INTO gone (batch, mask) VALUES (?, ?)"
PUT_COUNTER = "INSERT OR REPLACE INTO counters (queue, next_sequence) VALUES (?, ?)"
DELETE_BATCH = (
    "DELETE FROM batches WHERE id = ?",
    "DELETE FROM gone WHERE batch = ?",
    "DELETE FROM marks WHERE batch = ?",
)

INSERT_HISTORY = "INSERT INTO history (queue, at, keys) VALUES (?, ?, ?)"
PRUNE_HISTORY = "DELETE FROM history WHERE queue = ? AND at <= ?"

PUT_SESSION = "INSERT OR REPLACE INTO sessions (queue, session, state, updated_at) VALUES (?, ?, ?, ?)"
DELETE_SESSION = "DELETE FROM sessions WHERE queue = ? AND session = ?"

PUT_ENTITY = (
    "INSERT INTO entities (id, kind, path, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET description = excluded.description, updated_at = excluded.updated_at"
)
DELETE_ENTITY = "DELETE FROM entities WHERE id = ?"
DELETE_CONTENT = (
    "DELETE FROM gone WHERE batch IN (SELECT id FROM batches WHERE queue = ?)",
    "DELETE FROM marks WHERE batch IN (SELECT id FROM batches WHERE queue = ?)",
    "DELETE FROM batches WHERE queue = ?",
    "DELETE FROM counters WHERE queue = ?",
    "DELETE FROM history WHERE queue = ?",
    "DELETE FROM sessions WHERE queue = ?",
)

SWEEP = (
    # A receiver that closes after its entity was deleted may have returned messages to it.
    "DELETE FROM batches WHERE queue NOT IN (SELECT id FROM entities)",
    "DELETE FROM counters WHERE queue NOT IN (SELECT id FROM entities)",
    "DELETE FROM gone WHERE batch NOT IN (SELECT id FROM batches)",
    "DELETE FROM marks WHERE batch NOT IN (SELECT id FROM batches)",
)

ALL_ENTITIES = "SELECT id, kind, path, description, created_at, updated_at FROM entities ORDER BY id"
ALL_BATCHES = "SELECT id, queue, first_sequence, enqueued_at, heads, lengths, bodies FROM batches ORDER BY id"
ALL_GONE = "SELECT batch, mask FROM gone"
ALL_MARKS = "SELECT batch, sequence, lane, state, delivery_count, overlay FROM marks"
ALL_COUNTERS = "SELECT queue, next_sequence FROM counters"
ALL_HISTORY = "SELECT queue, at, keys FROM history ORDER BY at"
ALL_SESSIONS = "SELECT queue, session, state, updated_at FROM sessions"
