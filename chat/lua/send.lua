-- send.lua: say something, once.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] messages, KEYS[4] bans, KEYS[5] rate of this user, KEYS[6] this user's key
-- ARGV[1] user id, ARGV[2] message id, ARGV[3] the message as JSON, ARGV[4] "1" when a key was given,
-- ARGV[5] how long a key is remembered (ms), ARGV[6] ms between messages in the long run, ARGV[7] messages at once,
-- ARGV[8] how many messages stay known, ARGV[9] id of the message replied to, or ""
-- Returns {0, offset, id} | {1, until_ms} banned | {2, retry_after_ms} too fast | {3} no message to reply to
local room, log, messages, bans, rate, sent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local user, id, message, keyed = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local key_ttl_ms, interval_ms, burst, cap = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local reply_to = ARGV[9]
local now = now_ms()

-- The key first: a retry of a message that was said is not a new one, whatever has happened since.
if keyed then
  local before = redis.call('GET', sent)
  if before then
    local old_id, old_offset = string.match(before, '^(%S+) (%d+)$')
    return {0, tonumber(old_offset), old_id}
  end
end

local until_ms = tonumber(redis.call('HGET', bans, user) or '0')
if until_ms > now then return {1, until_ms} end

-- GCRA: the theoretical arrival time may run ahead of now by (burst - 1) intervals.
local arrival = math.max(tonumber(redis.call('GET', rate) or '0'), now)
local wait_ms = arrival - (burst - 1) * interval_ms - now
if wait_ms > 0 then return {2, wait_ms} end

if reply_to ~= '' and not redis.call('ZSCORE', messages, reply_to) then return {3} end

if until_ms > 0 then redis.call('HDEL', bans, user) end
arrival = arrival + interval_ms
redis.call('SET', rate, integer(arrival), 'PX', integer(arrival - now))
local offset = emit(room, log, now, 'chat.message', message)
redis.call('ZADD', messages, integer(offset), id)
redis.call('ZREMRANGEBYRANK', messages, 0, -cap - 1)
if keyed then redis.call('SET', sent, id .. ' ' .. integer(offset), 'PX', key_ttl_ms) end
return {0, offset, id}
