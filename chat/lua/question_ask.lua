-- question_ask.lua: mark a message as a question; the host sees the queue.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages, KEYS[4] authors, KEYS[5] questions (hash), KEYS[6] their order
-- ARGV[1] message id, ARGV[2] user who asks, ARGV[3] "1": may mark others' messages, ARGV[4] questions at most
-- Returns {0, offset} | {3} no such message | {7} the queue is full | {12} not one's own
local room, log, messages, authors, questions, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, now = ARGV[1], now_ms()
local offset = redis.call('ZSCORE', messages, id)
local entry = offset and redis.call('XRANGE', log, offset .. '-0', offset .. '-0')[1]
if not entry then return {3} end
if ARGV[3] ~= '1' and redis.call('HGET', authors, id) ~= ARGV[2] then return {12} end
if redis.call('HEXISTS', questions, id) == 1 then return {0, tonumber(redis.call('HGET', room, 'offset'))} end
if redis.call('ZCARD', order) >= tonumber(ARGV[4]) then return {7} end
local message = string.match(entry[2][2], '"data":(.*)}$')
redis.call('HSET', questions, id, message)
redis.call('ZADD', order, offset, id)
local asked = emit(room, log, now, 'question.asked', '{"message":' .. message .. '}')
local queue = {}
for i, one in ipairs(redis.call('ZRANGE', order, 0, -1)) do queue[i] = redis.call('HGET', questions, one) end
tell(log, 'role:host', 'question.queue', '{"questions":[' .. table.concat(queue, ',') .. ']}')
return {0, asked}
