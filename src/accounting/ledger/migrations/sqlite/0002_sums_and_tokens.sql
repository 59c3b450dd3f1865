-- Sums by the hour, and tokens of leases that another authority grants.
--
-- For a while the first script made these tables as well, so here some may be there already.

-- Attempts that are not the first of their call: few, and what makes calls hard to count.
CREATE INDEX IF NOT EXISTS attempt_call ON attempt (call_id) WHERE call_id <> id;

-- Sums of attempts that began in one hour of UTC, whose first microsecond is "at", and have these
-- labels in common. Several rows may be of the same: those of attempts that were booked late.
CREATE TABLE IF NOT EXISTS hourly (
    at INTEGER NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    "group" TEXT,
    api_key_id TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    latency INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    audio_input_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    web_searches INTEGER NOT NULL,
    file_searches INTEGER NOT NULL,
    code_sessions INTEGER NOT NULL,
    -- Of attempts that are the second of their call: in how many the provider (1), the model (2), the
    -- outcome (4) differ from the first one's, and nothing else does.
    again_1 INTEGER NOT NULL,
    again_2 INTEGER NOT NULL,
    again_3 INTEGER NOT NULL,
    again_4 INTEGER NOT NULL,
    again_5 INTEGER NOT NULL,
    again_6 INTEGER NOT NULL,
    again_7 INTEGER NOT NULL,
    -- Where a sum does not fit: the upper parts of cost, bound and so on, in units of 2^32.
    high TEXT
);
CREATE INDEX IF NOT EXISTS hourly_at ON hourly (at);
CREATE INDEX IF NOT EXISTS hourly_high ON hourly (at) WHERE high IS NOT NULL;

-- Other attempts in "hourly" that are not the first of their call, and the first ones of these calls:
-- for counting calls. "differs" has a bit for each label that is not the first one's.
CREATE TABLE IF NOT EXISTS further (
    id BLOB NOT NULL PRIMARY KEY,
    call_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    "group" TEXT,
    api_key_id TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    differs INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS further_at ON further (at);
CREATE INDEX IF NOT EXISTS further_call ON further (call_id);

-- How far sums are kept. Attempts whose ids are from before "upto" are in "hourly", unless they are
-- in "late"; those from before "closing" are noted in "late" when they are booked. Attempts that
-- began before "forgotten" may be gone. Exactly one row.
CREATE TABLE IF NOT EXISTS rolled (
    upto INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);
INSERT INTO rolled SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM rolled);

-- Attempts that were booked after their hour was closed, and that no sum has yet.
CREATE TABLE IF NOT EXISTS late (
    id BLOB NOT NULL PRIMARY KEY,
    -- That of "rolled" when it was booked.
    turn INTEGER NOT NULL
) WITHOUT ROWID;

-- What a lease names that another authority than this database has granted.
CREATE TABLE IF NOT EXISTS fence (
    key TEXT NOT NULL PRIMARY KEY,
    token INTEGER NOT NULL
) WITHOUT ROWID;

-- "counter" with one column more. Made anew, since SQLite can't add one only where it is missing.
CREATE TABLE counter_2 (
    key TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    period TEXT NOT NULL,
    timezone TEXT NOT NULL,
    start INTEGER NOT NULL,
    run TEXT NOT NULL,
    bound INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    wanted_at INTEGER,
    -- An attempt cost more than was reserved for it: nothing more is leased.
    closed INTEGER NOT NULL DEFAULT FALSE,
    -- Another authority was once told how it stands: it has a token.
    fenced INTEGER NOT NULL DEFAULT FALSE
) WITHOUT ROWID;
INSERT INTO counter_2
SELECT key, kind, value, period, timezone, start, run, bound, cost, wanted_at, closed,
    EXISTS (SELECT 1 FROM fence WHERE fence.key = counter.key)
FROM counter;
DROP TABLE counter;
ALTER TABLE counter_2 RENAME TO counter;

-- What tells this ledger from any other. Exactly one row.
CREATE TABLE IF NOT EXISTS identity (
    name TEXT NOT NULL
);
INSERT INTO identity SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM identity);
