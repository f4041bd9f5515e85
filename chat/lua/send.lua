-- send.lua: say something, once.
--
-- KEYS[1] room, [2] log, [3] messages, [4] authors, [5] bans, [6] settings, [7] words, [8] this user's last text,
-- [9] this user's key, [10] rate of this user, [11] of the room, [12] of the address
-- ARGV[1] user id, [2] message id, [3] the message as JSON, [4] "1": host or moderator, [5] ms the key is remembered
-- ("": no key), [6] messages that stay known, [7] id of the message replied to or "", [8] the text, [9] its folded
-- words, the whole first, as JSON, [10] ms a text is not repeated, [11…16] ms between messages and messages at once of the three rates (0: no limit)
-- Returns {0, offset, id, 1 where its key had said it before, else 0} | {1, until_ms} banned |
-- {2, retry_after_ms} too fast | {3} no message to reply to | {4} frozen | {5} a blocked word | {6} said already
local room, log, messages, authors, bans, settings = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local words, last, sent = KEYS[7], KEYS[8], KEYS[9]
local user, id, message, staff = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local key_ttl_ms, cap, reply_to, text = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local now = now_ms()

-- The key first: a retry is not a new message, whatever has happened since.
local before = key_ttl_ms ~= '' and redis.call('GET', sent)
if before then
  local old_id, old_offset = string.match(before, '^(%S+) (%d+)$')
  return {0, tonumber(old_offset), old_id, 1}
end
local until_ms = tonumber(redis.call('HGET', bans, user) or '0')
if until_ms > now then return {1, until_ms} end
local slow_ms, frozen = unpack(redis.call('HMGET', settings, 'slow_ms', 'frozen'))
if not staff then
  if frozen == '1' then return {4} end
  if redis.call('EXISTS', words) == 1 then
    local folded = cjson.decode(ARGV[9])
    for _, hit in ipairs(redis.call('SMISMEMBER', words, unpack(folded))) do if hit == 1 then return {5} end end
    for _, word in ipairs(redis.call('SMEMBERS', words)) do
      if word:sub(1, 1) == '*' and string.find(folded[1], word:sub(2), 1, true) then return {5} end
    end
  end
  -- Short cheers may be repeated.
  if #text > 4 and redis.call('GET', last) == text then return {6} end
end
-- GCRA, three times: the theoretical arrival time may run ahead of now by (burst - 1) intervals.
local arrivals = {}
for i = 10, 12 do
  local interval_ms, burst = tonumber(ARGV[2 * i - 9]), tonumber(ARGV[2 * i - 8])
  if i == 10 and not staff and tonumber(slow_ms or 0) > interval_ms then interval_ms, burst = tonumber(slow_ms), 1 end
  if interval_ms > 0 then
    local arrival = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
    local wait_ms = arrival - (burst - 1) * interval_ms - now
    if wait_ms > 0 then return {2, wait_ms} end
    arrivals[i] = arrival + interval_ms
  end
end
if reply_to ~= '' and not redis.call('ZSCORE', messages, reply_to) then return {3} end

if until_ms > 0 then redis.call('HDEL', bans, user) end
for i, arrival in pairs(arrivals) do redis.call('SET', KEYS[i], integer(arrival), 'PX', integer(arrival - now)) end
local offset = emit(room, log, now, 'chat.message', message)
redis.call('ZADD', messages, integer(offset), id)
redis.call('HSET', authors, id, user)
for _, old in ipairs(redis.call('ZRANGE', messages, 0, -cap - 1)) do redis.call('HDEL', authors, old) end
redis.call('ZREMRANGEBYRANK', messages, 0, -cap - 1)
redis.call('SET', last, text, 'PX', ARGV[10])
if key_ttl_ms ~= '' then redis.call('SET', sent, id .. ' ' .. integer(offset), 'PX', key_ttl_ms) end
return {0, offset, id, 0}
