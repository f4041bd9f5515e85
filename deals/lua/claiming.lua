-- claiming.lua: how a batch of accepted claims is written; comes after waiting.lua.
--
-- placed: orders (JSON each), to (as tell_all wants it), names (at most ten, as JSON), and what HSET and ZADD take:
-- claims, ledger, holds. One journal entry holds the whole batch: reading it gives each order a cursor of its own.

local function write_claims(d, now, units, placed)
  local gone = d.left == 0 and step_deal(d, 'sell_out')
  save_deal(d)
  wake(d, now + d.hold)
  redis.call('HSET', LEDGER, unpack(placed.ledger))
  redis.call('HSET', CLAIMS, unpack(placed.claims))
  redis.call('ZADD', HOLDS, unpack(placed.holds))
  local orders = '[' .. table.concat(placed.orders, ',') .. ']'
  redis.call('XADD', JOURNAL, '*', 'at_ms', integer(now), 'what', 'claimed', 'orders', orders)
  tell_all(LOG, placed.to, 'order.updated', 'order', orders)
  emit(ROOM, LOG, now, 'deal.claimed', '{"deal_id":"' .. d.id .. '","units":' .. integer(units) .. ',"left":'
    .. integer(d.left) .. ',"buyers":[' .. table.concat(placed.names, ',') .. '],"more":'
    .. integer(#placed.orders - #placed.names) .. '}')
  if d.left <= d.low and d.left + units > d.low then
    tell(LOG, 'role:host', 'deal.low_stock', '{"deal_id":"' .. d.id .. '","left":' .. integer(d.left) .. '}')
  end
  if gone then
    redis.call('HSETNX', DEAL, 'sold_out_ms', integer(now))
    announce(d, now, 'deal.sold_out')
  end
  show_stock(d)
end
