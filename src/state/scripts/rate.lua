-- Leases parts of token buckets to a replica, and takes back what it does not need.
--
-- KEYS: one bucket each, all of one tag.
-- ARGV: the replica; seconds after which a silent replica's lease is over; seconds between two
--   reports of a replica; then for each bucket:
--   rate      tokens a second; for a daily limit 0
--   capacity  tokens
--   daily     1: so many within any 24 hours, counted in slots of five minutes
--   keep      tokens that the replica has and keeps
--   offer     tokens that it has had and gives back
--   charge    tokens used beside any lease
--   spent     tokens taken since its last report
--   need      tokens that its first waiting call needs to find there, 0 if nobody waits
--   want      tokens that it would like to have
--   seen, age the level as it last heard, and how many seconds ago; age -1 if never
--   leaves    1: it has no use for it any more
-- Answers for each bucket: granted tokens, how many to have at most from now on, the level that is
--   left, replicas that take part, replicas with calls that wait.
--
-- The level and all that is leased never come to more than the capacity, so no stretch of time ever
-- sees more admitted than capacity + rate * time.
--
-- Turns: whoever waits gets what its first call needs whole or not at all, or large calls would
-- wait for ever beside fragments. Each replica's "pass" counts what it was granted while others
-- waited; the lowest pass comes first, and nobody takes what it will find too little of when it
-- next asks (start-time fair queueing).

local EPSILON, SKEW, PATIENCE = 1e-6, 1, 0.5
local DAY, SLOT = 86400, 300

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local me, lease, period = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function exact(number)
  return string.format('%.17g', number)
end

-- A daily window: what was granted in each slot. Returns what is left.
local function window(key, slots, capacity, delta)
  local current = math.floor(now / SLOT)
  if delta > 0 then
    slots[current] = (slots[current] or 0) + delta
    redis.call('HSET', key, 's:' .. current, exact(slots[current]))
  end
  local order, used = {}, 0
  for slot, count in pairs(slots) do
    if (slot + 1) * SLOT + DAY <= now then
      redis.call('HDEL', key, 's:' .. slot)
    else
      order[#order + 1] = slot
      used = used + count
    end
  end
  if delta < 0 then
    table.sort(order, function(a, b) return a > b end)
    for _, slot in ipairs(order) do
      local back = math.min(slots[slot], -delta)
      if back > 0 then
        slots[slot] = slots[slot] - back
        redis.call('HSET', key, 's:' .. slot, exact(slots[slot]))
        delta, used = delta + back, used - back
      end
    end
  end
  return capacity - used
end

local function read(key)
  local bucket = {others = {}, slots = {}, held = 0, count = 1, hungry = 0, virtual = 0}
  local rows = redis.call('HGETALL', key)
  bucket.known = #rows > 0
  for i = 1, #rows, 2 do
    local field, value = rows[i], rows[i + 1]
    local kind, name = string.sub(field, 1, 2), string.sub(field, 3)
    if field == 'level' then
      bucket.level = tonumber(value)
    elseif field == 'updated' then
      bucket.updated = tonumber(value)
    elseif field == 'virtual' then
      bucket.virtual = tonumber(value)
    elseif kind == 's:' then
      bucket.slots[tonumber(name)] = tonumber(value)
    elseif kind == 'r:' then
      local part = {}
      for number in string.gmatch(value, '%S+') do
        part[#part + 1] = tonumber(number)
      end
      local other = {name = name, held = part[1], missing = part[2], ask = part[3],
        pass = part[4], seen = part[5], since = part[6]}
      if name == me then
        bucket.mine = other
      elseif now - other.seen > lease then
        redis.call('HDEL', key, field)
      else
        bucket.others[#bucket.others + 1] = other
        bucket.held = bucket.held + other.held
        bucket.count = bucket.count + 1
      end
    end
  end
  return bucket
end

-- How much of the level is free for this replica: for its need, and for all that it would like.
local function room(bucket, rate, level, pass)
  local before, pressed = {}, false
  bucket.lowest = pass
  for _, other in ipairs(bucket.others) do
    if other.missing > 0 and now - other.seen < 3 * period + 0.2 then
      bucket.hungry = bucket.hungry + 1
      bucket.lowest = math.min(bucket.lowest, other.pass)
      pressed = pressed or now - other.since > PATIENCE
      if other.pass < pass or (other.pass == pass and other.name < me) then
        other.due = math.max(0, other.seen + period - now)
        before[#before + 1] = other
      end
    end
  end
  table.sort(before, function(a, b) return a.due < b.due end)
  local needs, asks, for_need, for_ask = 0, 0, level, level
  for _, other in ipairs(before) do
    needs, asks = needs + other.missing, asks + other.ask
    local comes = level + rate * other.due
    for_need, for_ask = math.min(for_need, comes - needs), math.min(for_ask, comes - asks)
  end
  return for_need, for_ask, pressed
end

local function exchange(key, a)
  local rate, capacity, daily, keep, offer, charge = a[1], a[2], a[3] == 1, a[4], a[5], a[6]
  local spent, need, want, seen, age, leaving = a[7], a[8], a[9], a[10], a[11], a[12] == 1
  local bucket = read(key)
  local level, updated = bucket.level or capacity, bucket.updated or now

  if not bucket.known and age >= 0 then
    -- This memory was lost. The replica remembers; a full bucket would let the limit pass twice.
    level = math.min(capacity, seen + rate * age)
    if daily then window(key, bucket.slots, capacity, capacity - level) end
  end
  if daily then
    level = window(key, bucket.slots, capacity, charge - offer)
  else
    if now > updated then
      level, updated = level + (now - updated) * rate, now
    end
    level = math.min(level, capacity - bucket.held - keep - offer)
    if spent > 0 and level + bucket.held + keep + offer + spent >= capacity - EPSILON then
      -- Requests may travel for different times; see SKEW in buckets.py.
      updated = now + SKEW
    end
    level = level + offer - charge
  end

  local mine = bucket.mine
  local start = math.max(mine and mine.pass or 0, bucket.virtual)
  local for_need, for_ask, pressed = room(bucket, rate, level, start)
  local missing, ask, granted = math.max(0, need - keep), math.max(0, want - keep), 0
  if leaving then
    missing, ask = 0, 0
  elseif missing > 0 then
    if for_need >= missing - EPSILON then
      granted = math.max(missing, math.min(ask, for_ask))
    end
  elseif not pressed then
    granted = math.max(0, math.min(ask, for_ask))
  end
  -- While nobody waits, a quarter of what there is lies at hand where it may be needed at once.
  local ease = 0
  if bucket.hungry == 0 and not leaving and (missing == 0 or granted > 0) then
    ease = math.max(0, (level + keep + (daily and 0 or bucket.held)) / (4 * bucket.count))
    granted = math.max(granted, math.min(ease - keep, level / 2))
  end
  if bucket.hungry > 0 and granted > 0 then
    -- Who comes later starts where the one who has had least stands, with no claim to the past.
    redis.call('HSET', key, 'virtual', exact(math.max(bucket.virtual, bucket.lowest)))
  end

  if daily then
    level = window(key, bucket.slots, capacity, granted)
  else
    level = level - granted
  end
  local limit = math.max(math.min(keep + granted, math.max(need, want)), ease)
  if pressed and missing == 0 then limit = 0 end
  local since = now
  if missing > granted and mine and mine.missing > 0 then since = mine.since end
  redis.call('HSET', key, 'level', exact(level), 'updated', exact(updated))
  if leaving then
    redis.call('HDEL', key, 'r:' .. me)
  else
    redis.call('HSET', key, 'r:' .. me, table.concat({
      exact(keep + granted), exact(math.max(0, missing - granted)),
      exact(math.max(0, ask - granted)), exact(math.max(0, start + granted - offer)),
      exact(now), exact(since)}, ' '))
  end
  local full_in = daily and DAY + SLOT or (capacity - math.min(level, 0)) / rate
  redis.call('EXPIRE', key, math.ceil(math.max(lease, full_in) + 60))
  return exact(granted), exact(limit), exact(level), bucket.count, bucket.hungry
end

local answers = {}
local WIDTH = 12
for i, key in ipairs(KEYS) do
  local a = {}
  for j = 1, WIDTH do
    a[j] = tonumber(ARGV[3 + (i - 1) * WIDTH + j])
  end
  for _, value in ipairs({exchange(key, a)}) do
    answers[#answers + 1] = value
  end
end
return answers
