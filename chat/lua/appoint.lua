-- appoint.lua: make somebody a moderator of this stream, or no longer.
--
-- KEYS[1] log, KEYS[2] moderators, KEYS[3] journal
-- ARGV[1] user id, ARGV[2] "grant" or "revoke", ARGV[3] moderators at most, ARGV[4] journal entry as JSON,
-- ARGV[5] entries kept
-- Returns {0, 1 when something changed} | {7} there are too many
local log, moderators, journal = KEYS[1], KEYS[2], KEYS[3]
local user, action = ARGV[1], ARGV[2]
local changed
if action == 'grant' then
  local full = redis.call('SCARD', moderators) >= tonumber(ARGV[3])
  if full and redis.call('SISMEMBER', moderators, user) == 0 then return {7} end
  changed = redis.call('SADD', moderators, user)
else
  changed = redis.call('SREM', moderators, user)
end
if changed == 1 then
  redis.call('XADD', journal, 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[4])
  tell(log, user, 'moderation', '{"action":"' .. action .. '","user_id":' .. json_string(user) .. ',"until_ms":null}')
end
return {0, changed}
