-- question_answer.lua: a question has been answered, and leaves the queue.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] questions (hash), KEYS[4] their order
-- ARGV[1] message id, ARGV[2] data of question.answered as JSON
-- Returns {0, offset} | {3} no such question
local room, log, questions, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HDEL', questions, ARGV[1]) == 0 then return {3} end
redis.call('ZREM', order, ARGV[1])
local answered = emit(room, log, now_ms(), 'question.answered', ARGV[2])
local queue = {}
for i, one in ipairs(redis.call('ZRANGE', order, 0, -1)) do queue[i] = redis.call('HGET', questions, one) end
tell(log, 'role:host', 'question.queue', '{"questions":[' .. table.concat(queue, ',') .. ']}')
return {0, answered}
