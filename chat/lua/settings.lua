-- settings.lua: change how a room may talk; what is "" stays as it is.
--
-- KEYS[1] room, KEYS[2] log, KEYS[3] settings, KEYS[4] words, KEYS[5] journal
-- ARGV[1] ms between one user's messages, ARGV[2] frozen: "1" or "0", ARGV[3] blocked words as JSON, as they were
-- given, ARGV[4] the same folded (a word behind "*" is also found inside others), ARGV[5] journal entry as JSON,
-- ARGV[6] entries kept
-- Returns {0, offset, slow_ms, frozen, words as JSON}
local room, log, settings, words, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if ARGV[1] ~= '' then redis.call('HSET', settings, 'slow_ms', ARGV[1]) end
if ARGV[2] ~= '' then redis.call('HSET', settings, 'frozen', ARGV[2]) end
if ARGV[3] ~= '' then
  redis.call('HSET', settings, 'words', ARGV[3])
  redis.call('DEL', words)
  local folded = cjson.decode(ARGV[4])
  if #folded > 0 then redis.call('SADD', words, unpack(folded)) end
end
local now = redis.call('HMGET', settings, 'slow_ms', 'frozen', 'words')
local slow_ms, frozen = now[1] or '0', now[2] or '0'
redis.call('XADD', journal, 'MAXLEN', '~', ARGV[6], '*', 'e', ARGV[5])
-- The words themselves are told to nobody but moderators.
local offset = emit(room, log, now_ms(), 'chat.settings', '{"slow_s":' .. integer(tonumber(slow_ms) / 1000)
  .. ',"frozen":' .. (frozen == '1' and 'true' or 'false') .. '}')
return {0, offset, tonumber(slow_ms), tonumber(frozen), now[3] or '[]'}
