-- ban.lua: ban a user; the private event makes every worker close that user's connections.
--
-- KEYS[1] log, KEYS[2] bans, KEYS[3] journal
-- ARGV[1] user id, ARGV[2] seconds ("" for good), ARGV[3] until_ms of a ban for good, ARGV[4] journal entry as JSON,
-- ARGV[5] entries kept
-- Returns {0, until_ms}
local log, bans, journal = KEYS[1], KEYS[2], KEYS[3]
local user, seconds = ARGV[1], ARGV[2]
local until_ms, shown = tonumber(ARGV[3]), 'null'
if seconds ~= '' then
  until_ms = now_ms() + tonumber(seconds) * 1000
  shown = integer(until_ms)
end
redis.call('HSET', bans, user, integer(until_ms))
redis.call('XADD', journal, 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[4])
tell(log, user, 'moderation', '{"action":"ban","user_id":' .. json_string(user) .. ',"until_ms":' .. shown .. '}')
return {0, until_ms}
