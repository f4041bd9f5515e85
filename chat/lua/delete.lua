-- delete.lua: take back a message; viewers drop it, those who join later are told so after it.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages, KEYS[4] authors, KEYS[5] pinned, KEYS[6] journal
-- ARGV[1] message id, ARGV[2] data of chat.deleted as JSON, ARGV[3] journal entry as JSON, ARGV[4] entries kept
-- Returns {0, offset} | {3} no such message (or it was deleted before)
local room, log, messages, authors, pinned, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, now = ARGV[1], now_ms()
if redis.call('ZREM', messages, id) == 0 then return {3} end
redis.call('HDEL', authors, id)
redis.call('XADD', journal, 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3])
local offset = emit(room, log, now, 'chat.deleted', ARGV[2])
if redis.call('HGET', pinned, 'id') == id then
  redis.call('DEL', pinned)
  emit(room, log, now, 'chat.pinned', '{"message":null}')
end
return {0, offset}
