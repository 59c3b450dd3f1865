-- Writes down how counters of hard budgets stand, as the ledger has just said.
--
-- KEYS: one counter each, all of one tag.
-- ARGV: seconds for which to keep it; then for each counter: token, what is booked, 1 if it is
--   closed, how many leases, and for each of these: whose, and how much.
-- Answers how many were written: not those of which a later word of the ledger's is known here.

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
-- The same name as budget.lua gives it, or that would believe nothing of this.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if not run or not line then
  return redis.error_reply('ERR this server does not tell its run_id and master_replid by INFO')
end
local memory = run .. line

local written, at = 0, 1
for _, key in ipairs(KEYS) do
  local token, bound, closed, leases = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  at = at + 4
  local known = redis.call('HMGET', key, 'memory', 'token')
  local later = known[1] == memory and tonumber(known[2]) >= tonumber(token)
  if not later then
    redis.call('DEL', key)
    redis.call('HSET', key, 'memory', memory, 'token', token, 'bound', bound, 'closed', closed,
      'told', string.format('%.6f', now), 'wanted', 0)
    for i = 1, leases do
      redis.call('HSET', key, 'l:' .. ARGV[at + 2 * i - 1], ARGV[at + 2 * i] .. ' 0')
    end
    redis.call('EXPIRE', key, tonumber(ARGV[1]))
    written = written + 1
  end
  at = at + 2 * leases
end
return written
