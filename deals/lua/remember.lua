-- remember.lua: write down that users may have orders in a deal, before their claims. Without a cluster one
-- call may write the indexes of many users; in a cluster their slots differ, and each is written by itself.
-- KEYS: the users' indexes
-- ARGV: now ms, <stream>.<deal>
-- Returns {0}
for _, key in ipairs(KEYS) do redis.call('ZADD', key, 'NX', ARGV[1], ARGV[2]) end
return {0}
