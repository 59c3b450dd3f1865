-- A replica says that it is alive and what it is set to, and learns how many are, whether the memory
-- is still the same, and what others are set to.
-- KEYS: the replicas, by when they were last heard of; the name of this memory; lines of settings, by
--   when somebody last said that it goes by them.
-- ARGV: the replica; seconds for which it counts as alive, 0 when it leaves; a name for a new memory;
--   its lines of settings.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local lease = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.6f', now))
if lease > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.6f', now + lease), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], math.ceil(lease * 2000))
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local others, own = {}, {}
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. string.format('%.6f', now))
if lease > 0 then
  for i = 4, #ARGV do
    own[ARGV[i]] = true
    redis.call('ZADD', KEYS[3], string.format('%.6f', now + lease), ARGV[i])
  end
  redis.call('PEXPIRE', KEYS[3], math.ceil(lease * 2000))
end
for _, line in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if not own[line] then others[#others + 1] = line end
end
-- It outlives any budget's period; were it ever to expire, it would only seem lost once too often.
redis.call('SET', KEYS[2], ARGV[3], 'NX')
redis.call('EXPIRE', KEYS[2], 34560000)
-- A server that has restarted may have lost its last second even where it keeps its memory on disk.
local run = ''
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then
  run = string.match(info, 'run_id:(%w+)') or ''
end
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2]) .. ':' .. run, others}
