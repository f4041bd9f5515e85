-- delete_code.lua: take a discount code away. Orders keep it; its uses are kept as long as there are any, so that a
-- code that is made again goes on counting.
-- KEYS: rules, due
-- ARGV: code
-- Returns {0} or {REFUSED.code_not_found, why}
local RULES, code = KEYS[1], ARGV[1]
if redis.call('HDEL', RULES, 'code:' .. code) == 0 then
  return {REFUSED.code_not_found, 'There is no such code here.'}
end
redis.call('HINCRBY', RULES, 'codes', -1)
if redis.call('HGET', RULES, 'used:' .. code) == '0' then redis.call('HDEL', RULES, 'used:' .. code) end
return {0}
