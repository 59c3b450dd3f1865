-- Leases amounts of hard budgets to a replica.
--
-- KEYS: one counter each, all of one tag.
-- ARGV: the replica's name in the ledger; the number of this message, which only rises; seconds for
--   which to keep what is written; seconds after which a refusal is to be confirmed by the ledger;
--   how many claims; then for each counter:
--   token     of the standing that the replica relies on, 0 if it knows none
--   worthless a token that the ledger does not take any more, 0 if none
--   lease     all that the replica holds of it, with what is spent and not booked yet
--   bound     the most that it has seen booked
--   ahead     how much to lease beyond what is claimed, if there is plenty
--   limit     under which limit that is
-- then for each claim: how many needs, and for each need: which of the counters, limit, amount.
-- Answers for each counter: its token, 0 if it is not known here; what to do about it: 1 ask the
--   ledger and write its word down, 2 somebody else does that just now; what is booked; all leases;
--   1 if it is closed; 1 if somebody was refused of late for leases alone; what was leased ahead;
--   then for each claim: 0, or which counter refused it, and 1 if only leases do. Claims are answered
--   only if all tokens are right.
--
-- Amounts are whole numbers of 10^-9 USD. What is said of a lease is the whole of it, with a number:
-- a message that is late or comes twice never makes a lease shorter than it is, and one that was
-- lost is made good by the next. Nothing that is granted here may be used before the ledger has
-- written it down under the same token.

local EXACT, WANTED, TURN, OLD = 9007199254740992, 1, 0.15, 60

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
-- Another run of the server, or another master, may have lost its last moments even where it kept
-- its memory on a disk: what is written under another name is not believed.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if not run or not line then
  return redis.error_reply('ERR this server does not tell its run_id and master_replid by INFO')
end
local memory = run .. line
local me, number, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local patience, claims = tonumber(ARGV[4]), tonumber(ARGV[5])

-- Above $9 million a double no longer holds every amount: rounded to the safe side.
local function up(amount)
  if amount < EXACT then return amount end
  return amount * (1 + 1e-15)
end

local function down(amount)
  if amount < EXACT then return amount end
  return amount * (1 - 1e-15)
end

local function exact(amount)
  return string.format('%.17g', amount)
end

local function read(key)
  local counter = {token = 0, bound = 0, closed = 0, told = now, wanted = 0, asked = 0,
    leased = 0, holders = 0, mine = 0, extra = 0, ask = 0}
  local rows = redis.call('HGETALL', key)
  local known
  for i = 1, #rows, 2 do
    local field, value = rows[i], rows[i + 1]
    if string.sub(field, 1, 2) == 'l:' then
      local amount, last = string.match(value, '^(%S+) (%S+)$')
      amount = tonumber(amount)
      if string.sub(field, 3) == me then
        counter.mine, counter.last = amount, tonumber(last)
      elseif amount > 0 then
        counter.leased = up(counter.leased + amount)
        counter.holders = counter.holders + 1
      end
    elseif field == 'memory' then
      known = value
    else
      counter[field] = tonumber(value)
    end
  end
  if known ~= memory then counter.token = 0 end
  return counter
end

-- One replica at a time asks the ledger, or all would at once, and undo what the others were told.
local function turn(key, counter, otherwise)
  if math.abs(now - counter.asked) < TURN then
    counter.ask = otherwise
  else
    counter.ask, counter.asked = 1, now
    redis.call('HSET', key, 'asked', exact(now))
    redis.call('EXPIRE', key, keep)
  end
end

-- Seconds, without end where the server's clock was set back.
local function since(moment)
  return now >= moment and now - moment or math.huge
end

local counters, complete, at = {}, true, 5
for i, key in ipairs(KEYS) do
  local counter = read(key)
  local token, worthless = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local lease, bound = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  counter.ahead, counter.limit = tonumber(ARGV[at + 5]), down(tonumber(ARGV[at + 6]))
  at = at + 6
  if counter.token == 0 or counter.token == worthless then
    counter.token, complete = 0, false
    if claims > 0 then turn(key, counter, 2) end
  elseif counter.token ~= token then
    complete = false
  elseif counter.last and counter.last >= number then
    return redis.error_reply('ERR a later message was here before')
  else
    counter.right = true
    counter.mine = up(lease)
    counter.bound = math.max(counter.bound, up(bound))
  end
  counters[i] = counter
end

local function total(counter)
  return up(counter.leased + counter.mine)
end

-- Answers 0, or the counter that refuses and whether only leases do.
local function decide(needs)
  local waits = 0
  for _, need in ipairs(needs) do
    local counter = counters[need.place]
    local room = need.limit - counter.bound
    if counter.closed == 1 or need.amount > room then
      return need.place, 0
    end
    if waits == 0 and need.amount > room - total(counter) then waits = need.place end
  end
  if waits > 0 then
    counters[waits].wanted = now
    return waits, 1
  end
  local greatest = {}
  for _, need in ipairs(needs) do
    greatest[need.place] = math.max(greatest[need.place] or 0, need.amount)
  end
  for place, amount in pairs(greatest) do
    counters[place].mine = up(counters[place].mine + amount)
  end
  return 0, 0
end

local decisions, granted = {}, false
if complete then
  for _ = 1, claims do
    local needs = {}
    for _ = 1, tonumber(ARGV[at + 1]) do
      needs[#needs + 1] = {place = tonumber(ARGV[at + 2]), limit = down(tonumber(ARGV[at + 3])),
        amount = up(tonumber(ARGV[at + 4]))}
      at = at + 3
    end
    at = at + 1
    local place, busy = decide(needs)
    granted = granted or place == 0
    decisions[#decisions + 1] = place
    decisions[#decisions + 1] = busy
    -- Who refuses must know what the dead left behind, and whether it was opened again.
    if place > 0 and counters[place].ask == 0 and since(counters[place].told) >= patience then
      turn(KEYS[place], counters[place], 0)
    end
  end
end

local answers = {}
for i, key in ipairs(KEYS) do
  local counter = counters[i]
  local wanted = since(counter.wanted) < WANTED
  if granted and counter.ahead > 0 and not wanted and counter.closed ~= 1 then
    local holders = counter.holders + (counter.mine > 0 and 1 or 0)
    local spare = (counter.limit - counter.bound - total(counter)) / 4 / math.max(1, holders)
    counter.extra = math.max(0, math.floor(math.min(counter.ahead, spare, EXACT / 2)))
    counter.mine = up(counter.mine + counter.extra)
  end
  if counter.right then
    -- What the dead left behind is also a burden where nobody is refused.
    if granted and counter.ask == 0 and since(counter.told) >= OLD then turn(key, counter, 0) end
    redis.call('HSET', key, 'bound', exact(counter.bound), 'wanted', exact(counter.wanted))
    if counter.mine > 0 then
      redis.call('HSET', key, 'l:' .. me, exact(counter.mine) .. ' ' .. exact(number))
    else
      redis.call('HDEL', key, 'l:' .. me)
    end
    redis.call('EXPIRE', key, keep)
  end
  for _, value in ipairs({counter.token, counter.ask, math.min(counter.bound, EXACT * 1000),
      math.min(total(counter), EXACT * 1000), counter.closed, wanted and 1 or 0,
      counter.extra}) do
    answers[#answers + 1] = value
  end
end
for _, value in ipairs(decisions) do
  answers[#answers + 1] = value
end
return answers
