-- ban_until.lua: until when a user is banned, judged by the clock that decides.
--
-- KEYS[1] bans
-- ARGV[1] user id
-- Returns {0, until_ms} | {0, 0} not banned
local until_ms = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if until_ms <= now_ms() then until_ms = 0 end
return {0, until_ms}
