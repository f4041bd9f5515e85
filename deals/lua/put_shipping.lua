-- put_shipping.lua: say what shipping costs from now on, or that it costs nothing. Orders keep what they have.
-- KEYS: rules, due
-- ARGV: JSON, or ''
-- Returns {0}
local RULES = KEYS[1]
if ARGV[1] == '' then redis.call('HDEL', RULES, 'shipping') else redis.call('HSET', RULES, 'shipping', ARGV[1]) end
redis.call('HINCRBY', RULES, 'version', 1)
return {0}
