-- pin.lua: keep a message in everybody's sight, or none.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages, KEYS[4] pinned, KEYS[5] journal
-- ARGV[1] message id, or "" for none, ARGV[2] journal entry as JSON, ARGV[3] entries kept
-- Returns {0, offset} | {3} no such message, or it is too old to be found
local room, log, messages, pinned, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, message = ARGV[1], 'null'
if id ~= '' then
  local offset = redis.call('ZSCORE', messages, id)
  local entry = offset and redis.call('XRANGE', log, offset .. '-0', offset .. '-0')[1]
  if not entry then return {3} end
  -- The data is the last member of an event (emit.lua), so it is what stands between its name and the last brace.
  message = string.match(entry[2][2], '"data":(.*)}$')
end
redis.call('XADD', journal, 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[2])
redis.call('DEL', pinned)
if id ~= '' then redis.call('HSET', pinned, 'id', id, 'message', message) end
return {0, emit(room, log, now_ms(), 'chat.pinned', '{"message":' .. message .. '}')}
