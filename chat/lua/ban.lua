-- ban.lua: ban a user; the private event makes every worker close that user's connections.
--
-- KEYS[1] log, KEYS[2] bans
-- ARGV[1] user id, ARGV[2] seconds ("" for good), ARGV[3] until_ms of a ban for good
-- Returns {0, until_ms}
local log, bans = KEYS[1], KEYS[2]
local user, seconds = ARGV[1], ARGV[2]
local until_ms, shown = tonumber(ARGV[3]), 'null'
if seconds ~= '' then
  until_ms = now_ms() + tonumber(seconds) * 1000
  shown = integer(until_ms)
end
redis.call('HSET', bans, user, integer(until_ms))
tell(log, user, 'moderation', '{"action":"ban","user_id":' .. json_string(user) .. ',"until_ms":' .. shown .. '}')
return {0, until_ms}
