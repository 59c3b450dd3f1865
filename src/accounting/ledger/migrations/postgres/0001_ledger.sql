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
CREATE INDEX attempt_call ON attempt (call_id) WHERE call_id <> id;

-- How far a row's "at" and the time in its id were ever apart: with it, a range of time is a range
-- of ids. Exactly one row.
CREATE TABLE drift (
    microseconds BIGINT NOT NULL
);
INSERT INTO drift VALUES (0);

-- Sums of attempts that began in one hour of UTC, whose first microsecond is "at", and have these
-- labels in common. Several rows may be of the same: those of attempts that were booked late.
CREATE TABLE hourly (
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
CREATE INDEX hourly_at ON hourly (at);
CREATE INDEX hourly_high ON hourly (at) WHERE high IS NOT NULL;

-- Other attempts in "hourly" that are not the first of their call, and the first ones of these calls:
-- for counting calls. "differs" has a bit for each label that is not the first one's.
CREATE TABLE further (
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
CREATE INDEX further_at ON further (at);
CREATE INDEX further_call ON further (call_id);

-- How far sums are kept. Attempts whose ids are from before "upto" are in "hourly", unless they are
-- in "late"; those from before "closing" are noted in "late" when they are booked. Attempts that
-- began before "forgotten" may be gone. Exactly one row.
CREATE TABLE rolled (
    upto BIGINT NOT NULL,
    closing BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    forgotten BIGINT NOT NULL
);
INSERT INTO rolled VALUES (0, 0, 0, 0);

-- Attempts that were booked after their hour was closed, and that no sum has yet.
CREATE TABLE late (
    id BYTEA NOT NULL PRIMARY KEY,
    -- That of "rolled" when it was booked.
    turn BIGINT NOT NULL
);

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
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    -- Another authority was once told how it stands: it has a token.
    fenced BOOLEAN NOT NULL DEFAULT FALSE
);

-- What one holder may still spend of a counter.
CREATE TABLE lease (
    key TEXT COLLATE "C" NOT NULL,
    holder TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (key, holder)
);
CREATE INDEX lease_holder ON lease (holder);

-- What a lease names that another authority than this database has granted.
CREATE TABLE fence (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL
);

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

-- What tells this ledger from any other. Exactly one row.
CREATE TABLE identity (
    name TEXT NOT NULL
);
INSERT INTO identity VALUES (substr(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 1, 16));
