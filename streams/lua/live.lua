-- live.lua: media of a publisher arrives: created | interrupted -> live; the origin is recorded in any case.
-- KEYS  1 room, 2 log, 3 stream
-- ARGV  1 worker id, 2 session id
-- Returns 1 the stream went live, 0 it was live, -1 no such stream, -2 it has ended.
local room, log, key = KEYS[1], KEYS[2], KEYS[3]
local worker, session = ARGV[1], ARGV[2]

local state = redis.call('HGET', key, 'state')
if not state then return -1 end
if state == 'ended' then return -2 end

redis.call('HSET', key, 'state', 'live', 'origin_worker', worker, 'origin_session', session)
if state == 'live' then return 0 end
redis.call('HDEL', key, 'interrupted_ms')
emit(room, log, now_ms(), 'stream.live', '{}')
return 1
