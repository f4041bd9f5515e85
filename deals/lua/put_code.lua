-- put_code.lua: make a discount code, or change its terms; how often it was used stays.
-- KEYS: rules, due
-- ARGV: code, what RULES has of it (codes.lua), most codes of a stream
-- Returns {0, uses} or {REFUSED.invalid, why}
local RULES, code, cap = KEYS[1], ARGV[1], tonumber(ARGV[3])
if redis.call('HEXISTS', RULES, 'code:' .. code) == 0 then
  if tonumber(redis.call('HGET', RULES, 'codes') or '0') >= cap then
    return {REFUSED.invalid, 'A stream has at most ' .. cap .. ' codes.'}
  end
  redis.call('HINCRBY', RULES, 'codes', 1)
end
redis.call('HSET', RULES, 'code:' .. code, ARGV[2])
return {0, tonumber(redis.call('HGET', RULES, 'used:' .. code) or '0')}
