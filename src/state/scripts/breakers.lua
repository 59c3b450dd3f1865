-- The circuits of a fleet: what every replica saw is counted here, and here each circuit moves.
--
-- KEYS  1 circuits   hash: candidate -> its circuit, JSON
--       2 changed    sorted set: candidate by the version at which it last moved
--       3 seen       sorted set: candidate by the time at which it was last heard of
--       4 memory     hash: n, the version; id, which tells this memory from one that was lost
-- ARGV  1 JSON: me, nonce, id and since (of the last answer), set (the settings), rows
-- Answers JSON: id, version, circuits that moved since (all, for who knows another memory),
-- leaves for probes that were given, and candidates whose unused leaves others would like.
--
-- All times are milliseconds of this server's clock. What is answered is relative to now.

local ask = cjson.decode(ARGV[1])
local set, me = ask.set, ask.me
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local SLICES, MOST_DOUBLINGS, MOST_IN_A_ROW, SOON = 12, 32, 64, 2000
local span = set.window / SLICES

local id = redis.call('HGET', KEYS[4], 'id')
if not id then
  id = ask.nonce
  redis.call('HSET', KEYS[4], 'id', id)
end
local known = tonumber(redis.call('HGET', KEYS[4], 'n') or '0')
local version = known

-- Two last distinct replicas are enough to answer "anyone but this one?".
local function note(list, replica)
  local kept = {{replica, now}}
  for _, each in ipairs(list) do
    if each[1] ~= replica and #kept < 2 then kept[#kept + 1] = each end
  end
  return kept
end

local function lately(list)
  local found = {}
  for _, each in ipairs(list) do
    if each[2] > now - set.window then found[#found + 1] = each[1] end
  end
  return found
end

local function fresh()
  return {
    gen = 0, state = 'closed', since = now, till = 0, rounds = 0, reason = '',
    row = {}, good = 0, fine = {}, bad = {}, slices = {}, permits = {}, given = 0, won = 0,
    asked = 0, at = now,
  }
end

-- The server's clock may be set back, or another server take over: then no time has passed.
local function heed_clock(it)
  local back = it.at - now
  if back > 0 then
    it.since, it.till, it.slices = it.since - back, it.till - back, {}
    it.row, it.good = {}, 0
    for _, permit in ipairs(it.permits) do permit[3] = permit[3] - back end
  end
  it.at = now
end

local function advance(it)
  if now < it.till then return end
  if it.state == 'open' then
    it.state, it.since = 'half-open', it.till
    it.reason = 'open for long enough'
  elseif it.state == 'ramping' then
    it.state, it.since, it.rounds, it.reason = 'closed', it.till, 0, 'ramped up'
  end
end

local function move(it, name, state, till, reason)
  version = version + 1
  it.gen, it.state, it.since, it.till, it.reason = version, state, now, till, reason
  it.row, it.good, it.fine, it.bad, it.slices = {}, 0, {}, {}, {}
  it.permits, it.won, it.asked = {}, 0, 0
  redis.call('ZADD', KEYS[2], version, name)
end

local function trip(it, name, reason)
  if it.state ~= 'closed' then it.rounds = it.rounds + 1 end
  local doubled = set.open * 2 ^ math.min(it.rounds, MOST_DOUBLINGS)
  move(it, name, 'open', now + math.min(set.longest, doubled), reason)
end

local function recover(it, name)
  if set.ramp > 0 then
    move(it, name, 'ramping', now + set.ramp, 'probes succeeded')
  else
    it.rounds = 0
    move(it, name, 'closed', 0, 'probes succeeded')
  end
end

-- One replica whose own network is broken must not take a candidate from all the others: its word
-- alone is enough only where nobody else has lately fared better.
local function agreed(it, witnesses)
  if #witnesses ~= 1 then return #witnesses > 1 end
  for _, replica in ipairs(lately(it.fine)) do
    if replica ~= witnesses[1] then return false end
  end
  return true
end

-- Failures since the last success, by when they happened: a success that was reported later than
-- another replica's failure may well have come before it.
local function in_a_row(it, row)
  if row.good >= 0 then it.good = math.max(it.good, now - row.good) end
  for _, age in ipairs(row.fails) do it.row[#it.row + 1] = {me, now - age} end
  local rest, witnesses = {}, {}
  for i = math.max(1, #it.row - MOST_IN_A_ROW), #it.row do
    local each = it.row[i]
    if each[2] >= it.good then
      rest[#rest + 1] = each
      if #witnesses == 0 or (#witnesses == 1 and witnesses[1] ~= each[1]) then
        witnesses[#witnesses + 1] = each[1]
      end
    end
  end
  it.row = rest
  return #rest, witnesses
end

local function slide(it, calls, failures, slow)
  local number = math.floor(now / span)
  local kept, total = {}, {0, 0, 0}
  for _, slice in ipairs(it.slices) do
    if slice[1] > number - SLICES then kept[#kept + 1] = slice end
  end
  local last = kept[#kept]
  if not last or last[1] ~= number then
    last = {number, 0, 0, 0}
    kept[#kept + 1] = last
  end
  last[2], last[3], last[4] = last[2] + calls, last[3] + failures, last[4] + slow
  for _, slice in ipairs(kept) do
    for i = 1, 3 do total[i] = total[i] + slice[i + 1] end
  end
  it.slices = kept
  return total[1], total[2], total[3]
end

local function count(it, name, row)
  local good = row.calls - row.failures
  if good > 0 then it.fine = note(it.fine, me) end
  if row.failures > 0 or row.slow > 0 then it.bad = note(it.bad, me) end
  local calls, failures, slow = slide(it, row.calls, row.failures, row.slow)

  local longest, witnesses = in_a_row(it, row)
  if #row.fails > 0 and longest >= set.consecutive and agreed(it, witnesses) then
    trip(it, name, string.format('%d failures in a row in the fleet', longest))
    return
  end
  if calls < set.minimum or not agreed(it, lately(it.bad)) then return end
  if row.failures > 0 and failures >= set.failure_rate * calls then
    trip(it, name, string.format('%d of %d calls of the fleet failed', failures, calls))
  elseif row.slow > 0 and slow >= set.slow_rate * calls then
    trip(it, name, string.format('%d of %d calls of the fleet were slow', slow, calls))
  end
end

-- A probe is heard as long as its round lasts, also after its leave has ended.
local function judge(it, name, row)
  for _, probe in ipairs(row.probes) do
    local rest = {}
    for _, permit in ipairs(it.permits) do
      if permit[1] ~= probe[1] then rest[#rest + 1] = permit end
    end
    it.permits = rest
    if it.state == 'half-open' then
      if probe[2] == 'success' then
        it.won = it.won + 1
        if it.won >= set.probe_successes then recover(it, name) end
      elseif probe[2] == 'failure' then
        trip(it, name, 'a probe failed')
      elseif probe[2] == 'slow' then
        trip(it, name, 'a probe was slow')
      end
    end
  end
end

local function give(it, name, row, leaves, asked)
  local live, mine = {}, false
  for _, permit in ipairs(it.permits) do
    if permit[3] > now then
      live[#live + 1] = permit
      mine = mine or permit[2] == me
    end
  end
  it.permits = live
  for _ = 1, math.min(row.want, set.probes - #live) do
    it.given = it.given + 1
    local token = string.format('%d.%d', it.gen, it.given)
    live[#live + 1] = {token, me, now + set.probe_timeout}
    leaves[#leaves + 1] = {name, it.gen, token, set.probe_timeout}
    mine = true
  end
  if row.urgent and not mine then
    it.asked = now
  elseif mine and it.asked > now - SOON then
    asked[#asked + 1] = name
  end
end

-- Where this memory is younger than a replica's, what that replica was told before still holds.
local function remember(it, name, row)
  version = math.max(version, row.gen)
  it.gen = row.gen
  local view = row.view
  if view then
    it.state, it.since, it.till = view.state, now - view.ago, now + view.left
    it.rounds, it.reason = view.rounds, view.reason
  end
  redis.call('ZADD', KEYS[2], version, name)
end

local tell, leaves, asked = {}, {}, {}
for _, row in ipairs(ask.rows) do
  local name = row.name
  local packed = redis.call('HGET', KEYS[1], name)
  local it = packed and cjson.decode(packed) or fresh()
  heed_clock(it)
  if row.gen > it.gen then
    it = fresh()
    remember(it, name, row)
  end
  advance(it)
  if row.gen ~= it.gen then
    tell[name] = true
  else
    if #row.probes > 0 then judge(it, name, row) end
    if it.gen == row.gen and row.calls > 0 then
      if it.state == 'half-open' then
        -- Of a replica that was on its own when it sent them: no leave, but a word all the same.
        local result = row.failures > 0 and 'failure' or 'success'
        judge(it, name, {probes = {{'', result}}})
      elseif it.state ~= 'open' then
        count(it, name, row)
      end
    end
    if it.state == 'half-open' and it.gen == row.gen then give(it, name, row, leaves, asked) end
  end
  redis.call('HSET', KEYS[1], name, cjson.encode(it))
  redis.call('ZADD', KEYS[3], now, name)
end

if ask.id ~= id then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do tell[name] = true end
else
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ask.since, '+inf')) do
    tell[name] = true
  end
end

local moved = {}
for name in pairs(tell) do
  local packed = redis.call('HGET', KEYS[1], name)
  if packed then
    local it = cjson.decode(packed)
    heed_clock(it)
    advance(it)
    moved[#moved + 1] = {
      name = name, gen = it.gen, state = it.state, ago = now - it.since,
      left = math.max(0, it.till - now), rounds = it.rounds, reason = it.reason,
    }
  end
end

for _, name in ipairs(
  redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - set.keep, 'LIMIT', 0, 32)
) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end
if version ~= known then redis.call('HSET', KEYS[4], 'n', version) end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, set.keep) end
return cjson.encode({id = id, version = version, moved = moved, leaves = leaves, asked = asked})
