-- Leases slots for calls under way to a replica; what replicas hold never exceeds the limit.
--
-- KEYS: one limit each, all of one tag.
-- ARGV: the replica; seconds after which a silent replica's slots come back; then for each limit:
--   capacity  slots in all
--   keep      slots that the replica keeps: those in use, and free ones that it may still have
--   want      slots that it has a use for now; -1 if it leaves
-- Answers for each limit: granted slots, how many to have at most, slots that are free, replicas
--   that take part, replicas that are short of their fair part.
--
-- Fair parts are even ones, as far as a replica wants as many. A replica that has more than its part
-- while another is short gives slots back as its calls end. Where there are fewer slots than
-- replicas that want one, they take turns: those who have none come first, the longest waiting first.

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local me, lease = ARGV[1], tonumber(ARGV[2])

local function exact(number)
  return string.format('%.17g', number)
end

local function read(key, mine)
  local all, held = {mine}, 0
  local rows = redis.call('HGETALL', key)
  for i = 1, #rows, 2 do
    local part = {}
    for number in string.gmatch(rows[i + 1], '%S+') do
      part[#part + 1] = tonumber(number)
    end
    local other = {name = rows[i], held = part[1], want = part[2], seen = part[3], since = part[4]}
    if other.name == me then
      -- Since when it has been waiting for another slot.
      if mine.want > mine.held then mine.since = other.since end
    elseif now - other.seen > lease then
      redis.call('HDEL', key, rows[i])
    else
      all[#all + 1] = other
      held = held + other.held
    end
  end
  return all, held
end

-- The largest even part, and who gets one more.
local function divide(all, capacity)
  table.sort(all, function(a, b) return a.want < b.want end)
  local left, part = capacity, math.huge
  for i, each in ipairs(all) do
    local even = math.floor(left / (#all - i + 1))
    if each.want > even then
      part = even
      break
    end
    left = left - each.want
  end
  left = capacity
  local more = {}
  for _, each in ipairs(all) do
    each.quota = math.min(each.want, part)
    left = left - each.quota
    if each.want > part then more[#more + 1] = each end
  end
  table.sort(more, function(a, b)
    if a.held ~= b.held then
      if part == 0 then return a.held < b.held end
      return a.held > b.held
    end
    if a.since ~= b.since then return a.since < b.since end
    return a.name < b.name
  end)
  for i = 1, math.min(left, #more) do
    more[i].quota = more[i].quota + 1
  end
end

local function exchange(key, capacity, keep, want)
  local leaving = want < 0
  want = math.max(want, 0)
  local mine = {name = me, held = keep, want = want, since = now}
  local all, held = read(key, mine)
  divide(all, capacity)
  local free, short, wanted = capacity - held - keep, 0, 0
  for _, each in ipairs(all) do
    if each.quota > each.held and each ~= mine then short = short + 1 end
    wanted = wanted + math.max(each.want, each.held)
  end
  local quota = mine.quota
  if not leaving and short == 0 and wanted < capacity then
    -- While nobody waits, a quarter of what is free lies at hand where it may be needed at once.
    quota = math.max(quota, mine.want) + math.floor((capacity - wanted) / (4 * #all))
  elseif short == 0 then
    quota = math.max(quota, math.min(keep, mine.want))
  end
  local granted = math.max(0, math.min(quota - keep, free))
  if granted > 0 then mine.since = now end
  if leaving and keep == 0 then
    redis.call('HDEL', key, me)
  else
    redis.call('HSET', key, me,
      table.concat({exact(keep + granted), exact(mine.want), exact(now), exact(mine.since)}, ' '))
  end
  redis.call('EXPIRE', key, math.ceil(2 * lease))
  return granted, quota, math.max(0, free - granted), #all, short
end

local answers = {}
for i, key in ipairs(KEYS) do
  local a = 2 + (i - 1) * 3
  local results = {exchange(key, tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))}
  for _, value in ipairs(results) do
    answers[#answers + 1] = value
  end
end
return answers
