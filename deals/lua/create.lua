-- create.lua: create a deal, scheduled (and open at once when its time has come).
-- KEYS: those of a deal; then showcase, the stream's deals
-- ARGV: deal id, opens_at_ms or '', duration ms, hold ms, limit, stock, amount, currency, terms, frozen,
--       product id or '', most unfinished deals a stream may have, units left of which the host is told,
--       '*' if the price is not units x amount, '1' if there is a compare_at, bundle: '<item id> <units> …' or ''
-- Returns {0, deal as JSON} or {REFUSED.stream_ended | product_not_found | item_not_found | invalid, why}
local SHOWCASE, DEALS = KEYS[16], KEYS[17]
local id, opens, product, cap = ARGV[1], tonumber(ARGV[2]), ARGV[11], tonumber(ARGV[12])
local now = now_ms()
if redis.call('HEXISTS', SHOWCASE, 'ended') == 1 then
  return {REFUSED.stream_ended, 'The stream has ended; it takes no new deals.'}
end
if product ~= '' and redis.call('HEXISTS', SHOWCASE, 'p:' .. product) == 0 then
  return {REFUSED.product_not_found, 'There is no such product here.'}
end
if redis.call('ZCARD', DUE) >= cap then
  return {REFUSED.invalid, 'A stream has at most ' .. cap .. ' unfinished deals.'}
end
for item in string.gmatch(ARGV[16], '(%S+) %d+') do
  if redis.call('HEXISTS', RULES, 'item:' .. item) == 0 then
    return {REFUSED.item_not_found, 'There is no such stock item here.'}
  end
end
redis.call('HSET', DEAL, 'id', id, 'state', 'scheduled', 'left', ARGV[6], 'held', '0', 'sold', '0',
  'opens_at_ms', ARGV[2], 'closes_at_ms', opens and integer(opens + tonumber(ARGV[3])) or '', 'duration_ms', ARGV[3],
  'hold_ms', ARGV[4], 'limit', ARGV[5], 'stock', ARGV[6], 'amount', ARGV[7], 'currency', ARGV[8], 'terms', ARGV[9],
  'frozen', ARGV[10], 'product_id', product, 'low', ARGV[13], 'rule', ARGV[14], 'lowest', ARGV[15], 'revenue', '0')
if ARGV[16] ~= '' then redis.call('HSET', DEAL, 'bundle', ARGV[16]) end
local unfinished = {}
for item in string.gmatch(ARGV[16], '(%S+) %d+') do
  local others = {id}  -- those that are over need not be looked at again
  for other in string.gmatch(redis.call('HGET', RULES, 'deals:' .. item) or '', '%S+') do
    if unfinished[other] == nil then unfinished[other] = redis.call('ZSCORE', DUE, other) end
    if unfinished[other] then others[#others + 1] = other end
  end
  redis.call('HSET', RULES, 'deals:' .. item, table.concat(others, ' ') .. ' ')
end
redis.call('ZADD', DEALS, integer(now), id)
redis.call('ZADD', DUE, opens and integer(opens) or '+inf', id)
local d = load_deal()
find_lowest(d, now)
announce(d, now, 'deal.scheduled')
advance(d, now)
return {0, deal_json(d, now)}
