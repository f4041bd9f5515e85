-- remove_product.lua: take a product out of the showcase (and unpin it).
-- KEYS: room, log, showcase, prices
-- ARGV: product id
-- Returns {0} or {REFUSED.product_not_found, why}
local ROOM, LOG, SHOWCASE, PRICES = unpack(KEYS)
local id, now = ARGV[1], now_ms()
if redis.call('HEXISTS', SHOWCASE, 'p:' .. id) == 0 then
  return {REFUSED.product_not_found, 'There is no such product here.'}
end
redis.call('HDEL', SHOWCASE, 'p:' .. id)
note_price(PRICES, id, now)
if redis.call('HGET', SHOWCASE, 'pinned') == id then
  redis.call('HDEL', SHOWCASE, 'pinned')
  emit(ROOM, LOG, now, 'product.pinned', '{"product_id":null}')
end
emit(ROOM, LOG, now, 'product.removed', '{"product_id":' .. json_string(id) .. '}')
return {0}
