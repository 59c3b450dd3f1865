-- How fast candidates are and how busy, as all replicas of a fleet see it.
--
-- KEYS  1 figures   hash: candidate -> what was observed of it, JSON
--       2 seen      sorted set: candidate by the time at which that last changed
--       3 flights   hash: replica -> its attempts in flight by candidate, JSON
--       4 alive     sorted set: replica by the time of its last report
--       5 load      hash: candidate -> all attempts in flight, the sum over 3
-- ARGV  1 JSON: me, since (of the last answer), set (the settings), rows, flights
-- Answers JSON: now, figures that changed since, and load, of which the replica's own is a part.
--
-- A figure is {value, time}: a peak EWMA like a replica's own. A higher value counts at once and in
-- full, a lower one only as time goes by. Times are milliseconds of this server's clock.

local ask = cjson.decode(ARGV[1])
local set, me = ask.set, ask.me
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function observe(figure, value, at)
  if not figure or figure[2] > now then return {value, at} end
  if at <= figure[2] then return figure end
  if value >= figure[1] then return {value, at} end
  local old = 0.5 ^ ((at - figure[2]) / set.half_life)
  return {figure[1] * old + value * (1 - old), at}
end

for _, row in ipairs(ask.rows) do
  local packed = redis.call('HGET', KEYS[1], row.name)
  local it = packed and cjson.decode(packed) or {}
  for _, kind in ipairs({'first', 'token', 'failures'}) do
    local seen = row[kind]
    if seen then it[kind] = observe(it[kind], seen[1], now - seen[2]) end
  end
  redis.call('HSET', KEYS[1], row.name, cjson.encode(it))
  redis.call('ZADD', KEYS[2], now, row.name)
end

-- The sum is kept up to date by differences, so that no report looks at every replica.
local function fly(replica, flights)
  local packed = redis.call('HGET', KEYS[3], replica)
  local change = {}
  for name, n in pairs(flights) do change[name] = n end
  if packed then
    for name, n in pairs(cjson.decode(packed)) do change[name] = (change[name] or 0) - n end
  end
  for name, n in pairs(change) do
    if n ~= 0 and redis.call('HINCRBY', KEYS[5], name, n) <= 0 then
      redis.call('HDEL', KEYS[5], name)
    end
  end
  if next(flights) then
    redis.call('HSET', KEYS[3], replica, cjson.encode(flights))
    redis.call('ZADD', KEYS[4], now, replica)
  else
    redis.call('HDEL', KEYS[3], replica)
    redis.call('ZREM', KEYS[4], replica)
  end
end

fly(me, ask.flights)
for _, replica in ipairs(
  redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - set.silence, 'LIMIT', 0, 16)
) do
  fly(replica, {})
end

local figures = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], ask.since, '+inf')) do
  local packed = redis.call('HGET', KEYS[1], name)
  if packed then
    local it = cjson.decode(packed)
    local row = {name = name}
    for kind, figure in pairs(it) do row[kind] = {figure[1], math.max(0, now - figure[2])} end
    figures[#figures + 1] = row
  end
end
local load = {}
local pairs_of = redis.call('HGETALL', KEYS[5])
for i = 1, #pairs_of, 2 do load[pairs_of[i]] = tonumber(pairs_of[i + 1]) end

for _, name in ipairs(
  redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - set.keep, 'LIMIT', 0, 32)
) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, set.keep) end
return cjson.encode({now = now, figures = figures, load = load})
