-- The version of these tables. Exactly one row.
CREATE TABLE version (
    number INTEGER NOT NULL
);
INSERT INTO version VALUES (0);

-- One attempt. Money in 10^-12 USD, times in microseconds, NULL for what is not known.
-- Its partitions are months of UTC, by the time that an id begins with, and are made as they are
-- needed; what fits none of them is in attempt_other.
CREATE TABLE attempt (
    id BYTEA NOT NULL PRIMARY KEY,
    call_id BYTEA NOT NULL,
    at BIGINT NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    run_id TEXT,
    session_id TEXT,
    api_key_id TEXT,
    tags JSONB,
    "group" TEXT,
    provider TEXT NOT NULL,
    plugin TEXT NOT NULL,
    model TEXT NOT NULL,
    answered_model TEXT NOT NULL,
    own_key BOOLEAN NOT NULL,
    stream BOOLEAN NOT NULL,
    hedge BOOLEAN NOT NULL,
    repeat BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    status BIGINT,
    error TEXT,
    code TEXT,
    request_id TEXT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    audio_input_tokens BIGINT,
    reasoning_tokens BIGINT,
    audio_output_tokens BIGINT,
    estimated BOOLEAN,
    web_searches BIGINT,
    file_searches BIGINT,
    code_sessions BIGINT,
    tier TEXT NOT NULL,
    region TEXT NOT NULL,
    cost BIGINT,
    bound BIGINT,
    saved BIGINT,
    price TEXT NOT NULL,
    latency BIGINT NOT NULL,
    first_token BIGINT,
    waited BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    budgets JSONB
) PARTITION BY RANGE (id);
CREATE TABLE attempt_other PARTITION OF attempt DEFAULT;

-- For budgets of a run. The rest goes by id: its first six bytes are milliseconds.
CREATE INDEX attempt_run ON attempt USING hash (run_id) WHERE run_id IS NOT NULL;

-- Attempts that are not the first of their call: few, and what makes calls hard to count.
CREATE INDEX attempt_later ON attempt (id) WHERE call_id <> id;

-- How far a row's "at" and the time in its id were ever apart: with it, a range of time is a range
-- of ids. Exactly one row.
CREATE TABLE drift (
    microseconds BIGINT NOT NULL
);
INSERT INTO drift VALUES (0);

-- What is counted.
CREATE TABLE rule (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    period TEXT NOT NULL,
    timezone TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (kind, value, period, timezone)
);

-- A budget in one period. Money in 10^-9 USD.
CREATE TABLE counter (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    period TEXT NOT NULL,
    timezone TEXT NOT NULL,
    start BIGINT NOT NULL,
    run TEXT NOT NULL,
    bound BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    wanted_at BIGINT,
    -- An attempt cost more than was reserved for it: nothing more is leased.
    closed BOOLEAN NOT NULL DEFAULT FALSE
);

-- What one holder may still spend of a counter.
CREATE TABLE lease (
    key TEXT COLLATE "C" NOT NULL,
    holder TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (key, holder)
);
CREATE INDEX lease_holder ON lease (holder);

-- How far each writer's journal is booked.
CREATE TABLE writer (
    name TEXT NOT NULL PRIMARY KEY,
    upto BIGINT NOT NULL
);

-- What listeners were told about a counter.
CREATE TABLE mark (
    key TEXT COLLATE "C" NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (key, word)
);
