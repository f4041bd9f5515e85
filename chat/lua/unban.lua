-- unban.lua: lift a ban; lifting none is fine.
--
-- KEYS[1] bans
-- ARGV[1] user id
-- Returns {0, 1 when there was an entry}
return {0, redis.call('HDEL', KEYS[1], ARGV[1])}
