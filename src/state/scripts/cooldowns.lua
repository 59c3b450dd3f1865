-- Who is to be left alone for a while, in a whole fleet.
--
-- KEYS  1 cooldowns  hash: provider or candidate -> its cooldown, JSON
--       2 changed    sorted set: the same names by the version at which they last changed
--       3 seen       sorted set: the same names by the time at which they last changed
--       4 memory     hash: n, the version; id, which tells this memory from one that was lost
-- ARGV  1 JSON: me, nonce, id and since (of the last answer), set (the settings), events
-- Answers JSON: id, version, and what changed since (all, for who knows another memory).
--
-- Each event says which version its call had heard of: a call that was let through before a change
-- can't undo it. Times are milliseconds of this server's clock; answers are relative to now.

local ask = cjson.decode(ARGV[1])
local set, me = ask.set, ask.me
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local id = redis.call('HGET', KEYS[4], 'id')
if not id then
  id = ask.nonce
  redis.call('HSET', KEYS[4], 'id', id)
end
local known = tonumber(redis.call('HGET', KEYS[4], 'n') or '0')
-- A younger memory counts on from where its replicas are, or all that they say would be late.
local version = math.max(known, ask.since)

local function fresh()
  return {
    gen = 0, active = false, cause = 'rate', since = now, till = 0, length = 0,
    held = 0, by = '', struck = {}, at = now,
  }
end

-- The server's clock may be set back, or another server take over: then no time has passed.
local function heed_clock(it)
  local back = it.at - now
  if back > 0 then it.since, it.till, it.held = it.since - back, it.till - back, it.held - back end
  it.at = now
end

local function cool(it, cause, length)
  if not it.active then it.since = now end
  version = version + 1
  it.gen, it.active, it.cause = version, true, cause
  it.till, it.length, it.held, it.by = now + length, length, 0, ''
  return true
end

local apply = {}

function apply.cool(it, event)
  if event.version >= it.gen then return cool(it, event.cause, event.length) end
  if it.active and now + event.length > it.till then
    it.till, it.length, it.cause = now + event.length, event.length, event.cause
    return true
  end
  return false
end

-- What a replica still knows, after the memory of this server was lost.
function apply.restore(it, event)
  return not it.active and it.gen == 0 and cool(it, event.cause, event.length)
end

function apply.clear(it, event)
  if not it.active or event.version < it.gen then return false end
  version = version + 1
  it.gen, it.active, it.held, it.by, it.struck = version, false, 0, '', {}
  return true
end

function apply.strike(it, event)
  if it.active and it.cause == 'model' then return false end
  for _, call in ipairs(it.struck) do
    if call == event.call then return false end
  end
  it.struck[#it.struck + 1] = event.call
  if #it.struck >= set.distinct then
    it.struck = {}
    return cool(it, 'model', set.model)
  end
  return true
end

function apply.sound(it)
  local had = #it.struck > 0
  it.struck = {}
  return had
end

function apply.probe(it, event)
  if not it.active or it.held > now then return false end
  it.held, it.by = now + event.length, me
  return true
end

function apply.probed(it)
  if it.by ~= me then return false end
  it.held, it.by = 0, ''
  return true
end

for _, event in ipairs(ask.events) do
  local name = event.name
  local packed = redis.call('HGET', KEYS[1], name)
  local it = packed and cjson.decode(packed) or fresh()
  heed_clock(it)
  if apply[event.what](it, event) then
    version = version + 1
    redis.call('HSET', KEYS[1], name, cjson.encode(it))
    redis.call('ZADD', KEYS[2], version, name)
    redis.call('ZADD', KEYS[3], now, name)
  end
end

local names
if ask.id ~= id then
  names = redis.call('ZRANGE', KEYS[2], 0, -1)
else
  names = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ask.since, '+inf')
end
local changed = {}
for _, name in ipairs(names) do
  local packed = redis.call('HGET', KEYS[1], name)
  if packed then
    local it = cjson.decode(packed)
    heed_clock(it)
    changed[#changed + 1] = {
      name = name, gen = it.gen, active = it.active, cause = it.cause, ago = now - it.since,
      left = it.till - now, length = it.length,
      held = math.max(0, it.held - now), by = it.by, struck = #it.struck,
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
return cjson.encode({id = id, version = version, changed = changed})
