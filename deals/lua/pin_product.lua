-- pin_product.lua: pin a product, or unpin whatever is pinned. Pinning what is pinned says nothing twice.
-- KEYS: room, log, showcase
-- ARGV: product id, or '' to unpin
-- Returns {0} or {REFUSED.product_not_found, why}
local ROOM, LOG, SHOWCASE = unpack(KEYS)
local id, now = ARGV[1], now_ms()
if id ~= '' and redis.call('HEXISTS', SHOWCASE, 'p:' .. id) == 0 then
  return {REFUSED.product_not_found, 'There is no such product here.'}
end
local pinned = redis.call('HGET', SHOWCASE, 'pinned') or ''
if pinned == id then return {0} end
if id == '' then
  redis.call('HDEL', SHOWCASE, 'pinned')
else
  redis.call('HSET', SHOWCASE, 'pinned', id)
end
emit(ROOM, LOG, now, 'product.pinned', '{"product_id":' .. (id == '' and 'null' or json_string(id)) .. '}')
return {0}
