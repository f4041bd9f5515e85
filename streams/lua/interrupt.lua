-- interrupt.lua: a publisher fell silent: live -> interrupted, if it still is the origin (a newer one may have come).
-- KEYS  1 room, 2 log, 3 stream
-- ARGV  1 session id
-- Returns 1 the stream is interrupted now, 0 nothing changed, -1 no such stream.
local room, log, key = KEYS[1], KEYS[2], KEYS[3]
local session = ARGV[1]

local state = redis.call('HGET', key, 'state')
if not state then return -1 end
if state ~= 'live' or redis.call('HGET', key, 'origin_session') ~= session then return 0 end

local now = now_ms()
redis.call('HSET', key, 'state', 'interrupted', 'interrupted_ms', integer(now))
redis.call('HDEL', key, 'origin_worker', 'origin_session')
emit(room, log, now, 'stream.interrupted', '{}')
return 1
