-- clear_user.lua: take back everything one user said.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages, KEYS[4] authors, KEYS[5] pinned, KEYS[6] journal
-- ARGV[1] user id, ARGV[2] data of chat.cleared as JSON, ARGV[3] journal entry as JSON, ARGV[4] entries kept
-- Returns {0, offset, messages taken back}
local room, log, messages, authors, pinned, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local user, now = ARGV[1], now_ms()
local pinned_id, known, count = redis.call('HGET', pinned, 'id'), redis.call('HGETALL', authors), 0
local unpin = false
for i = 1, #known, 2 do
  if known[i + 1] == user then
    redis.call('ZREM', messages, known[i])
    redis.call('HDEL', authors, known[i])
    unpin = unpin or known[i] == pinned_id
    count = count + 1
  end
end
redis.call('XADD', journal, 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3])
local offset = emit(room, log, now, 'chat.cleared', ARGV[2])
if unpin then
  redis.call('DEL', pinned)
  emit(room, log, now, 'chat.pinned', '{"message":null}')
end
return {0, offset, count}
