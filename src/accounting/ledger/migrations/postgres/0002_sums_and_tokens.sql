-- Sums by the hour, and tokens of leases that another authority grants.
--
-- For a while the first script made these tables as well, so here some may be there already.

-- Attempts that are not the first of their call: few, and what makes calls hard to count.
CREATE INDEX IF NOT EXISTS attempt_call ON attempt (call_id) WHERE call_id <> id;

-- Sums of attempts that began in one hour of UTC, whose first microsecond is "at", and have these
-- labels in common. Several rows may be of the same: those of attempts that were booked late.
CREATE TABLE IF NOT EXISTS hourly (
    at BIGINT NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    "group" TEXT,
    api_key_id TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    bound BIGINT NOT NULL,
    saved BIGINT NOT NULL,
    latency BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    audio_input_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    audio_output_tokens BIGINT NOT NULL,
    web_searches BIGINT NOT NULL,
    file_searches BIGINT NOT NULL,
    code_sessions BIGINT NOT NULL,
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
    id BYTEA NOT NULL PRIMARY KEY,
    call_id BYTEA NOT NULL,
    at BIGINT NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    "group" TEXT,
    api_key_id TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    differs BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS further_at ON further (at);
CREATE INDEX IF NOT EXISTS further_call ON further (call_id);

-- How far sums are kept. Attempts whose ids are from before "upto" are in "hourly", unless they are
-- in "late"; those from before "closing" are noted in "late" when they are booked. Attempts that
-- began before "forgotten" may be gone. Exactly one row.
CREATE TABLE IF NOT EXISTS rolled (
    upto BIGINT NOT NULL,
    closing BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    forgotten BIGINT NOT NULL
);
INSERT INTO rolled SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM rolled);

-- Attempts that were booked after their hour was closed, and that no sum has yet.
CREATE TABLE IF NOT EXISTS late (
    id BYTEA NOT NULL PRIMARY KEY,
    -- That of "rolled" when it was booked.
    turn BIGINT NOT NULL
);

-- What a lease names that another authority than this database has granted.
CREATE TABLE IF NOT EXISTS fence (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL
);

-- Another authority was once told how it stands: it has a token.
ALTER TABLE counter ADD COLUMN IF NOT EXISTS fenced BOOLEAN NOT NULL DEFAULT FALSE;

-- What tells this ledger from any other. Exactly one row.
CREATE TABLE IF NOT EXISTS identity (
    name TEXT NOT NULL
);
INSERT INTO identity
SELECT substr(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 1, 16)
WHERE NOT EXISTS (SELECT 1 FROM identity);
