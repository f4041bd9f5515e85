-- announce.lua: the host says something to all.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] journal
-- ARGV[1] data of announcement as JSON, ARGV[2] journal entry as JSON, ARGV[3] entries kept
-- Returns {0, offset}
local offset = emit(KEYS[1], KEYS[2], now_ms(), 'announcement', ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[2])
return {0, offset}
