-- poll_vote.lua: one vote of one user, for good; the same vote again changes nothing.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] poll, KEYS[4] votes of this poll
-- ARGV[1] poll id, ARGV[2] user id, ARGV[3] answer, from 0, ARGV[4] how long votes are kept (ms), ARGV[5] ms between
-- two looks at the counts (what is not shown now, poll_tick.lua shows)
-- Returns {0} | {9} no such poll, or no such answer | {10} it is closed | {11} voted otherwise already
local room, log, poll, votes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local answer, now = tonumber(ARGV[3]), now_ms()
local id, state, closes_at_ms, answers, shown_ms =
  unpack(redis.call('HMGET', poll, 'id', 'state', 'closes_at_ms', 'answers', 'shown_ms'))
if id ~= ARGV[1] or answer >= tonumber(answers) then return {9} end
-- Whoever heard no answer asks again: the same vote is there already, also when the poll is over.
if redis.call('HGET', votes, ARGV[2]) == ARGV[3] then return {0} end
if state ~= 'open' or now >= tonumber(closes_at_ms) then return {10} end
if redis.call('HSETNX', votes, ARGV[2], answer) == 0 then return {11} end
redis.call('PEXPIRE', votes, ARGV[4])
redis.call('HINCRBY', poll, 'c' .. answer, 1)
local total = redis.call('HINCRBY', poll, 'votes', 1)
if now - tonumber(shown_ms) >= tonumber(ARGV[5]) then
  local counts = {}
  for i = 1, answers do counts[i] = redis.call('HGET', poll, 'c' .. (i - 1)) or '0' end
  redis.call('HSET', poll, 'shown', total, 'shown_ms', integer(now))
  glance(room, log, 'poll', 'poll.counts', '{"poll_id":' .. json_string(id) .. ',"counts":['
    .. table.concat(counts, ',') .. '],"votes":' .. integer(total) .. '}')
end
return {0}
