-- put_product.lua: put a product in the showcase, or change it.
-- KEYS: room, log, showcase
-- ARGV: product id, public JSON without its closing brace and "pinned", most products a showcase may hold
-- Returns {0, product as JSON} or {REFUSED.invalid, why}
local ROOM, LOG, SHOWCASE = unpack(KEYS)
local id, open_json, cap = ARGV[1], ARGV[2], tonumber(ARGV[3])
local field, now = 'p:' .. id, now_ms()
local old = redis.call('HGET', SHOWCASE, field)
local others = redis.call('HEXISTS', SHOWCASE, 'pinned') + redis.call('HEXISTS', SHOWCASE, 'order')
if not old and redis.call('HLEN', SHOWCASE) - others >= cap then
  return {REFUSED.invalid, 'A showcase holds at most ' .. cap .. ' products.'}
end
local added = old and string.match(old, '^%d+') or integer(now)
redis.call('HSET', SHOWCASE, field, added .. ' ' .. open_json)
local pinned = redis.call('HGET', SHOWCASE, 'pinned') == id
local json = open_json .. ',"pinned":' .. tostring(pinned) .. '}'
emit(ROOM, LOG, now, 'product.updated', '{"product":' .. json .. '}')
return {0, json}
