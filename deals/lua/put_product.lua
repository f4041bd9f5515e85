-- put_product.lua: put a product in the showcase, or change it.
-- KEYS: room, log, showcase, prices
-- ARGV: product id, public JSON as far as "compare_at", most products a showcase may hold, amount and currency of its
--       price, '1' if there is a compare_at
-- Returns {0, product as JSON} or {REFUSED.invalid, why}
local ROOM, LOG, SHOWCASE, PRICES = unpack(KEYS)
local id, open_json, cap = ARGV[1], ARGV[2], tonumber(ARGV[3])
local field, now = 'p:' .. id, now_ms()
local old = redis.call('HGET', SHOWCASE, field)
local others = 0
for _, other in ipairs({'pinned', 'order', 'newest', 'ended'}) do others = others + redis.call('HEXISTS', SHOWCASE, other) end
if not old and redis.call('HLEN', SHOWCASE) - others >= cap then
  return {REFUSED.invalid, 'A showcase holds at most ' .. cap .. ' products.'}
end
-- A product that left the showcase 30 days ago is forgotten once there are many.
if redis.call('HLEN', PRICES) >= MOST_PRODUCTS and redis.call('HEXISTS', PRICES, id) == 0 then
  local known = redis.call('HGETALL', PRICES)
  for i = 1, #known, 2 do
    local till = string.match(known[i + 1], '^(%d+)')
    if not string.find(known[i + 1], '+', 1, true) and tonumber(till) <= now - KEPT_MS then
      redis.call('HDEL', PRICES, known[i])
    end
  end
  if redis.call('HLEN', PRICES) >= MOST_PRODUCTS then
    return {REFUSED.invalid, 'A stream shows at most ' .. MOST_PRODUCTS .. ' products in 30 days.'}
  end
end
local added = old and string.match(old, '^%d+')
if not added then
  -- Two of one millisecond keep their order, too.
  added = integer(math.max(now, tonumber(redis.call('HGET', SHOWCASE, 'newest') or 0) + 1))
  redis.call('HSET', SHOWCASE, 'newest', added)
end
local since = note_price(PRICES, id, now, tonumber(ARGV[4]), ARGV[5])
local lowest = ARGV[6] == '1' and lowest_price(PRICES, id, ARGV[5], since, false) or 'null'
open_json = open_json .. ',"lowest_30d":' .. lowest
redis.call('HSET', SHOWCASE, field, added .. ' ' .. open_json)
local pinned = redis.call('HGET', SHOWCASE, 'pinned') == id
local json = open_json .. ',"pinned":' .. tostring(pinned) .. '}'
emit(ROOM, LOG, now, 'product.updated', '{"product":' .. json .. '}')
return {0, json}
