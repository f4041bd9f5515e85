-- unban.lua: lift a ban; lifting none is fine.
--
-- KEYS[1] bans, KEYS[2] journal
-- ARGV[1] user id, ARGV[2] journal entry as JSON, ARGV[3] entries kept
-- Returns {0, 1 when there was an entry}
local lifted = redis.call('HDEL', KEYS[1], ARGV[1])
if lifted == 1 then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[2]) end
return {0, lifted}
