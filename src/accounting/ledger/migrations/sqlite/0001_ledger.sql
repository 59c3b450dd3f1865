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

-- Attempts that are not the first of their call: few, and what makes calls hard to count.
CREATE INDEX attempt_call ON attempt (call_id) WHERE call_id <> id;

-- How far a row's "at" and the time in its id were ever apart: with it, a range of time is a range
-- of ids. Exactly one row.
CREATE TABLE drift (
    microseconds INTEGER NOT NULL
);
INSERT INTO drift VALUES (0);

-- Sums of attempts that began in one hour of UTC, whose first microsecond is "at", and have these
-- labels in common. Several rows may be of the same: those of attempts that were booked late.
CREATE TABLE hourly (
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
CREATE INDEX hourly_at ON hourly (at);
CREATE INDEX hourly_high ON hourly (at) WHERE high IS NOT NULL;

-- Other attempts in "hourly" that are not the first of their call, and the first ones of these calls:
-- for counting calls. "differs" has a bit for each label that is not the first one's.
CREATE TABLE further (
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
CREATE INDEX further_at ON further (at);
CREATE INDEX further_call ON further (call_id);

-- How far sums are kept. Attempts whose ids are from before "upto" are in "hourly", unless they are
-- in "late"; those from before "closing" are noted in "late" when they are booked. Attempts that
-- began before "forgotten" may be gone. Exactly one row.
CREATE TABLE rolled (
    upto INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);
INSERT INTO rolled VALUES (0, 0, 0, 0);

-- Attempts that were booked after their hour was closed, and that no sum has yet.
CREATE TABLE late (
    id BLOB NOT NULL PRIMARY KEY,
    -- That of "rolled" when it was booked.
    turn INTEGER NOT NULL
) WITHOUT ROWID;

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
    closed INTEGER NOT NULL DEFAULT FALSE,
    -- Another authority was once told how it stands: it has a token.
    fenced INTEGER NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

-- What one holder may still spend of a counter.
CREATE TABLE lease (
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (key, holder)
) WITHOUT ROWID;
CREATE INDEX lease_holder ON lease (holder);

-- What a lease names that another authority than this database has granted.
CREATE TABLE fence (
    key TEXT NOT NULL PRIMARY KEY,
    token INTEGER NOT NULL
) WITHOUT ROWID;

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

-- What tells this ledger from any other. Exactly one row.
CREATE TABLE identity (
    name TEXT NOT NULL
);
INSERT INTO identity VALUES (lower(hex(randomblob(8))));
