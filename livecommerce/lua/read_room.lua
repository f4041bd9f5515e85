-- read_room.lua: a room's epoch, its newest offset, and events of its log, all of one moment.
--
-- KEYS[1] room, KEYS[2] log
-- ARGV[1] read what follows this offset, or "" for the newest events; ARGV[2] how many at most; ARGV[3] "1": the
-- epoch follows the server's replication id, because a failover may rewind offsets (room_log.py)
-- Returns {epoch, offset, {event, …}}; the events are JSON, oldest first
local room, log = KEYS[1], KEYS[2]
local after, limit = ARGV[1], ARGV[2]
local epoch = redis.call('HGET', room, 'epoch')
if not epoch then
  -- A room nobody has spoken in gets its epoch now, so that a viewer who waits in silence can resume later.
  local t = redis.call('TIME')
  epoch = t[1] .. string.format('%06d', tonumber(t[2]))
  redis.call('HSET', room, 'epoch', epoch)
end
local offset = redis.call('HGET', room, 'offset') or '0'
local entries, events = nil, {}
if after == '' then
  entries = redis.call('XREVRANGE', log, '+', '-', 'COUNT', limit)
  for i = #entries, 1, -1 do events[#events + 1] = entries[i][2][2] end
else
  entries = redis.call('XRANGE', log, '(' .. after .. '-0', '+', 'COUNT', limit)
  for i = 1, #entries do events[i] = entries[i][2][2] end
end
if ARGV[3] == '1' then
  epoch = epoch .. '.' .. string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)
end
return {epoch, offset, events}
