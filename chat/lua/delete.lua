-- delete.lua: take back a message; viewers drop it, those who join later are told so after it.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages
-- ARGV[1] message id, ARGV[2] data of chat.deleted as JSON
-- Returns {0, offset} | {3} no such message (or it was deleted before)
local room, log, messages = KEYS[1], KEYS[2], KEYS[3]
if redis.call('ZREM', messages, ARGV[1]) == 0 then return {3} end
return {0, emit(room, log, now_ms(), 'chat.deleted', ARGV[2])}
