-- end.lua: the host is done: any state -> ended, once.
-- KEYS  1 room, 2 log, 3 stream
-- Returns 1 the stream ended now, 0 it had ended before, -1 no such stream.
local room, log, key = KEYS[1], KEYS[2], KEYS[3]

local state = redis.call('HGET', key, 'state')
if not state then return -1 end
if state == 'ended' then return 0 end

local now = now_ms()
redis.call('HSET', key, 'state', 'ended', 'ended_ms', integer(now))
redis.call('HDEL', key, 'origin_worker', 'origin_session')
emit(room, log, now, 'stream.ended', '{}')
return 1
