-- poll_tick.lua: close a poll whose time has come (or at once), or show counts that nobody was shown yet.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] poll
-- ARGV[1] id of a poll to close now, or "" for what is due
-- Returns {0, poll as JSON} | {9} no such poll
local room, log, poll = KEYS[1], KEYS[2], KEYS[3]
local asked, now = ARGV[1], now_ms()
local id, state, closes_at_ms, answers, votes, shown, fixed =
  unpack(redis.call('HMGET', poll, 'id', 'state', 'closes_at_ms', 'answers', 'votes', 'shown', 'fixed'))
if not id or (asked ~= '' and asked ~= id) then return {9} end
local counts = {}
for i = 1, answers do counts[i] = redis.call('HGET', poll, 'c' .. (i - 1)) or '0' end
local told = '"counts":[' .. table.concat(counts, ',') .. '],"votes":' .. votes .. '}'
local close = state == 'open' and (asked ~= '' or now >= tonumber(closes_at_ms))
if close then
  state = 'closed'
  -- closed early: from then on it says when it closed, so that who comes later knows how old the result is
  if now < tonumber(closes_at_ms) then closes_at_ms = integer(now) end
end
local json = '{' .. fixed .. ',"closes_at_ms":' .. closes_at_ms .. ',"state":"' .. state .. '",' .. told
if close then
  redis.call('HSET', poll, 'state', 'closed', 'closes_at_ms', closes_at_ms)
  emit(room, log, now, 'poll.closed', '{"poll":' .. json .. '}')
elseif state == 'open' and shown ~= votes then
  redis.call('HSET', poll, 'shown', votes, 'shown_ms', integer(now))
  glance(room, log, 'poll', 'poll.counts', '{"poll_id":' .. json_string(id) .. ',' .. told)
end
return {0, json}
