-- announce.lua: the host says something to all.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] journal, KEYS[4] this user's key
-- ARGV[1] data of announcement as JSON, ARGV[2] journal entry as JSON, ARGV[3] entries kept,
-- ARGV[4] ms the key is remembered ("": no key)
-- Returns {0, offset}
local before = ARGV[4] ~= '' and redis.call('GET', KEYS[4])
if before then return {0, tonumber(before)} end
local offset = emit(KEYS[1], KEYS[2], now_ms(), 'announcement', ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[2])
if ARGV[4] ~= '' then redis.call('SET', KEYS[4], integer(offset), 'PX', ARGV[4]) end
return {0, offset}
