-- forget_stream.lua: take a stream off the list of those with unfinished business, unless it was touched since.
-- KEYS: the list
-- ARGV: stream id, touched before this moment (ms)
-- Returns {0}
local touched = redis.call('ZSCORE', KEYS[1], ARGV[1])
if touched and tonumber(touched) < tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return {0}
