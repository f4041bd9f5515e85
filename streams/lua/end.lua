-- end.lua: the host is done: any state -> ended, once; or it has been away for too long: interrupted -> ended.
-- KEYS  1 room, 2 log, 3 stream
-- ARGV  1 optional: only if the host has been away since before this moment (ms)
-- Returns 1 the stream ended now, 0 it had ended before or goes on, -1 no such stream.
local room, log, key = KEYS[1], KEYS[2], KEYS[3]

local state = redis.call('HGET', key, 'state')
if not state then return -1 end
if state == 'ended' then return 0 end

local now = now_ms()
if ARGV[1] then
  if state ~= 'interrupted' then return 0 end
  local since = redis.call('HGET', key, 'interrupted_ms')
  if not since then -- interrupted by a version that did not note it: counts from now
    redis.call('HSET', key, 'interrupted_ms', integer(now))
    return 0
  end
  if tonumber(since) >= tonumber(ARGV[1]) then return 0 end
end

redis.call('HSET', key, 'state', 'ended', 'ended_ms', integer(now))
redis.call('HDEL', key, 'origin_worker', 'origin_session', 'interrupted_ms')
emit(room, log, now, 'stream.ended', '{}')
return 1
