-- One attempt. Money in 10^-12 USD, times in microseconds, NULL for what is not known.
CREATE TABLE attempt (
    id BLOB NOT NULL PRIMARY KEY,
    call_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    agent_id TEXT,
    project_id TEXT,
    agent_type TEXT,
    run_id TEXT,
    session_id TEXT,
    api_key_id TEXT,
    tags TEXT,
    "group" TEXT,
    provider TEXT NOT NULL,
    plugin TEXT NOT NULL,
    model TEXT NOT NULL,
    answered_model TEXT NOT NULL,
    own_key INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    hedge INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    code TEXT,
    request_id TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    audio_input_tokens INTEGER,
    reasoning_tokens INTEGER,
    audio_output_tokens INTEGER,
    estimated INTEGER,
    web_searches INTEGER,
    file_searches INTEGER,
    code_sessions INTEGER,
    tier TEXT NOT NULL,
    region TEXT NOT NULL,
    cost INTEGER,
    bound INTEGER,
    saved INTEGER,
    price TEXT NOT NULL,
    latency INTEGER NOT NULL,
    first_token INTEGER,
    waited INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    budgets TEXT
);

-- For budgets of a run. The rest goes by id: its first six bytes are milliseconds.
CREATE INDEX attempt_run ON attempt (run_id) WHERE run_id IS NOT NULL;

-- How far a row's "at" and the time in its id were ever apart: with it, a range of time is a range
-- of ids. Exactly one row.
CREATE TABLE drift (
    microseconds INTEGER NOT NULL
);
INSERT INTO drift VALUES (0);

-- What is counted.
CREATE TABLE rule (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    period TEXT NOT NULL,
    timezone TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    PRIMARY KEY (kind, value, period, timezone)
) WITHOUT ROWID;

-- A budget in one period. Money in 10^-9 USD.
CREATE TABLE counter (
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
    closed INTEGER NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

-- What one holder may still spend of a counter.
CREATE TABLE lease (
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (key, holder)
) WITHOUT ROWID;
CREATE INDEX lease_holder ON lease (holder);

-- How far each writer's journal is booked.
CREATE TABLE writer (
    name TEXT NOT NULL PRIMARY KEY,
    upto INTEGER NOT NULL
) WITHOUT ROWID;

-- What listeners were told about a counter.
CREATE TABLE mark (
    key TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (key, word)
) WITHOUT ROWID;
