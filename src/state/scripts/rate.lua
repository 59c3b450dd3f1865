-- Leases parts of token buckets to a replica, and takes back what it does not need.
--
-- KEYS: one bucket each, all of one tag.
-- ARGV: the replica; seconds after which a silent replica's lease is over; seconds between two
--   reports of a replica; then for each bucket:
--   rate      tokens a second; for a daily limit 0
--   capacity  tokens
--   daily     1: so many within any 24 hours, counted in slots of five minutes
--   keep      tokens that the replica has and keeps
--   rest      what is left of its lease, kept or not, as it reckons; below 0: used beside any lease
--   used      tokens that it has used in all its life
--   number    of this report
--   heard     number of its last report whose answer it has; 0 if none, or if it left since
--   spilled   what that answer said of it
--   need      tokens that its first waiting call needs to find there, 0 if nobody waits
--   want      tokens that it would like to have
--   seen, age the level as it last heard, and how many seconds ago; age -1 if never
--   leaves    1: it has no use for it any more
--   most      it has been on its own: the most of what it used then that still matters; else -1
-- Answers for each bucket: granted tokens, how many to have at most from now on, the level that is
--   left, replicas that take part, replicas with calls that wait, tokens spilled.
--
-- The level and all that is leased never come to more than the capacity, so no stretch of time ever
-- sees more admitted than capacity + rate * time.
--
-- A report whose answer was lost may have been heard here or not; the number of the last one that
-- was tells which, so that nothing is charged twice and no grant is lost that nobody received.
--
-- Spilled is all that came while the bucket was full. Who was on its own meanwhile has lived on
-- that, and is charged only for more; what one has claimed of it, the others can't.
--
-- Turns: whoever waits gets what its first call needs whole or not at all, or large calls would
-- wait for ever beside fragments. Each replica's "pass" counts what it was granted, from where the
-- others stood when it came; the lowest pass comes first, and nobody takes what it will find too
-- little of when it is due to ask next (start-time fair queueing). When it is due is settled by the
-- first of its reports: were it put off by those that it sends in between, whoever asks often while
-- it waits would be passed by the others for ever. So would be who needs a whole bucket, if others
-- still held a part of it then.

local EPSILON, SKEW, PATIENCE, REMEMBERED = 1e-6, 1, 0.5, 12
local EARLIEST = 0.9 -- of a period: reports jitter by a tenth, see PERIOD in exchange.py
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
  local bucket = {
    others = {}, slots = {}, held = 0, count = 1, hungry = 0, virtual = 0, spilled = 0,
  }
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
    elseif field == 'spilled' then
      bucket.spilled = tonumber(value)
    elseif kind == 's:' then
      bucket.slots[tonumber(name)] = tonumber(value)
    elseif kind == 'r:' then
      local part = {}
      for number in string.gmatch(value, '%S+') do
        part[#part + 1] = tonumber(number)
      end
      local other = {name = name, held = part[1], missing = part[2], ask = part[3],
        pass = part[4], seen = part[5], since = part[6], due = part[7],
        used = part[8], number = part[9]}
      if name == me then
        bucket.mine = other
      elseif now - other.seen > REMEMBERED * lease then
        redis.call('HDEL', key, field)
      elseif now - other.seen <= lease then
        bucket.others[#bucket.others + 1] = other
        bucket.held = bucket.held + other.held
        bucket.count = bucket.count + 1
      end
    end
  end
  return bucket
end

-- How much of the level is free for this replica: for its need, and for all that it would like.
-- The level rises from the moment `updated` on, which may be to come, and not above `most`.
local function room(bucket, rate, level, updated, most, pass)
  local before, pressed = {}, false
  bucket.lowest = pass
  for _, other in ipairs(bucket.others) do
    if other.missing > 0 and now - other.seen < 3 * period + 0.2 then
      bucket.hungry = bucket.hungry + 1
      bucket.lowest = math.min(bucket.lowest, other.pass)
      pressed = pressed or now - other.since > PATIENCE
      if other.pass < pass or (other.pass == pass and other.name < me) then
        before[#before + 1] = other
      end
    end
  end
  table.sort(before, function(a, b) return a.due < b.due end)
  local needs, asks, for_need, for_ask = 0, 0, level, level
  for _, other in ipairs(before) do
    needs, asks = needs + other.missing, asks + other.ask
    local comes = math.min(most, level + rate * math.max(0, other.due - updated))
    for_need, for_ask = math.min(for_need, comes - needs), math.min(for_ask, comes - asks)
  end
  return for_need, for_ask, pressed
end

-- This memory is younger than the replica, or was restored from an older one: what the replica
-- remembers still holds, or the limit would pass twice.
local function heed(key, bucket, a)
  local remembered = a.seen + a.rate * a.age
  if a.daily then
    local left = window(key, bucket.slots, a.capacity, 0)
    if left > a.seen then window(key, bucket.slots, a.capacity, left - a.seen) end
    return
  end
  if now > bucket.updated then
    bucket.level = bucket.level + (now - bucket.updated) * a.rate
    bucket.updated = now
  end
  local spilled = a.spilled + math.max(0, remembered - a.capacity)
  bucket.spilled = bucket.known and math.min(bucket.spilled, spilled) or spilled
  bucket.level = math.min(bucket.level, remembered, a.capacity)
end

-- What of a replica's lease is left to be given back; below 0 what it has to be charged with.
local function settle(bucket, a)
  local mine, rest = bucket.mine, a.rest
  if mine and mine.number > a.heard then
    -- Its last report was heard, but not the answer.
    rest = mine.held - (a.used - mine.used)
  end
  -- Who was on its own has let its own share fill late already, where that was full.
  local spent = mine and a.most < 0 and math.max(0, mine.held - rest) or 0
  local back = rest - a.keep
  if back < 0 and a.most >= 0 then
    local over = math.min(-back, a.most)
    if a.heard > 0 then
      local claim = math.min(over, math.max(0, bucket.spilled - a.spilled))
      bucket.spilled, over = bucket.spilled - claim, over - claim
    end
    back = -over
  end
  return rest, back, spent
end

local function exchange(key, a)
  local rate, capacity, daily, keep = a.rate, a.capacity, a.daily, a.keep
  local need, want, leaving = a.need, a.want, a.leaving
  local bucket = read(key)
  bucket.level, bucket.updated = bucket.level or capacity, bucket.updated or now
  local mine = bucket.mine
  local older = a.heard > 0 and (not mine or mine.number < a.heard)
  if a.age >= 0 and (older or not bucket.known) then heed(key, bucket, a) end

  local level, updated = bucket.level, bucket.updated
  if now > updated then
    level, updated = level + (now - updated) * rate, now
  end
  local full = capacity - bucket.held - math.max(keep, a.rest, 0)
  if not daily and level > full then
    bucket.spilled, level = bucket.spilled + level - full, full
  end
  local rest, back, spent = settle(bucket, a)
  if daily then
    level = window(key, bucket.slots, capacity, -back)
  else
    if spent > 0 and level + bucket.held + math.max(rest, 0) + spent >= capacity - EPSILON then
      -- Requests may travel for different times; see SKEW in buckets.py.
      updated = now + SKEW
    end
    level = math.min(level + back, capacity - bucket.held - keep)
  end

  local start = math.max(mine and mine.pass or 0, bucket.virtual)
  local most = daily and math.huge or capacity - bucket.held - keep
  local for_need, for_ask, pressed = room(bucket, rate, level, updated, most, start)
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
  if granted > 0 then
    -- Who comes later starts where the one who has had least stands, with no claim to the past, also
    -- where that one had nobody beside it.
    redis.call('HSET', key, 'virtual', exact(math.max(bucket.virtual, bucket.lowest)))
  end

  if daily then
    level = window(key, bucket.slots, capacity, granted)
  else
    level = level - granted
  end
  local limit = math.max(math.min(keep + granted, math.max(need, want)), ease)
  if pressed and missing == 0 then limit = 0 end
  local since, due = now, now + EARLIEST * period
  if missing > granted and mine and mine.missing > 0 then
    since = mine.since
    if mine.due > now then due = mine.due end
  end
  redis.call('HSET', key, 'level', exact(level), 'updated', exact(updated),
    'spilled', exact(bucket.spilled))
  if leaving then
    redis.call('HDEL', key, 'r:' .. me)
  else
    redis.call('HSET', key, 'r:' .. me, table.concat({
      exact(keep + granted), exact(math.max(0, missing - granted)),
      exact(math.max(0, ask - granted)), exact(math.max(0, start + granted - math.max(0, back))),
      exact(now), exact(since), exact(due), exact(a.used), exact(a.number)}, ' '))
  end
  local full_in = daily and DAY + SLOT or (capacity - math.min(level, 0)) / rate
  redis.call('EXPIRE', key, math.ceil(math.max(lease, full_in) + 60))
  return exact(granted), exact(limit), exact(level), bucket.count, bucket.hungry,
    exact(bucket.spilled)
end

local FIELDS = {'rate', 'capacity', 'daily', 'keep', 'rest', 'used', 'number', 'heard', 'spilled',
  'need', 'want', 'seen', 'age', 'leaving', 'most'}
local answers = {}
for i, key in ipairs(KEYS) do
  local a = {}
  for j, field in ipairs(FIELDS) do
    a[field] = tonumber(ARGV[3 + (i - 1) * #FIELDS + j])
  end
  a.daily, a.leaving = a.daily == 1, a.leaving == 1
  for _, value in ipairs({exchange(key, a)}) do
    answers[#answers + 1] = value
  end
end
return answers
