-- poll_open.lua: ask everybody something; one poll of a stream at a time.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] poll
-- ARGV[1] poll id, ARGV[2] the poll's fixed members as JSON without braces, ARGV[3] how many answers, ARGV[4] ms open
-- Returns {0, poll as JSON} | {8} another poll is open
local room, log, poll = KEYS[1], KEYS[2], KEYS[3]
local id, fixed, answers, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), now_ms()
if redis.call('HGET', poll, 'state') == 'open' then return {8} end
local closes_at_ms = now + tonumber(ARGV[4])
redis.call('DEL', poll)
redis.call('HSET', poll, 'id', id, 'state', 'open', 'fixed', fixed, 'answers', answers, 'votes', 0, 'shown', 0,
  'shown_ms', 0, 'closes_at_ms', integer(closes_at_ms))
local zeros = {}
for i = 1, answers do zeros[i] = '0' end
local shown = '{' .. fixed .. ',"closes_at_ms":' .. integer(closes_at_ms) .. ',"state":"open","counts":['
  .. table.concat(zeros, ',') .. '],"votes":0}'
emit(room, log, now, 'poll.opened', '{"poll":' .. shown .. '}')
return {0, shown}
