-- announce.lua: the host says something to all.
--
-- KEYS[1] room, KEYS[2] log
-- ARGV[1] data of announcement as JSON
-- Returns {0, offset}
return {0, emit(KEYS[1], KEYS[2], now_ms(), 'announcement', ARGV[1])}
