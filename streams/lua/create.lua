-- create.lua: a new stream.
-- KEYS  1 room, 2 log, 3 stream
-- ARGV  1 id, 2 title, 3 host id, 4 host name
-- Returns the creation time in ms; 0 when the id is taken.
local key = KEYS[3]
local id, title, host_id, host_name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('EXISTS', key) == 1 then return 0 end

local now = now_ms()
redis.call('HSET', key, 'id', id, 'title', title, 'state', 'created', 'host_id', host_id, 'host_name', host_name,
  'created_ms', integer(now))
return now
