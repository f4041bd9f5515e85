-- claiming.lua: what claim.lua makes of accepted claims, and how it writes a batch of them; comes after codes.lua.
--
-- placed: orders (JSON each), to (as tell_all wants it), names (at most ten, as JSON), and what HSET and ZADD take:
-- claims, ledger, holds. One journal entry holds the whole batch: reading it gives each order a cursor of its own.

-- Changes with the deal's rules and with shipping: claims priced by another stamp are priced again.
local function stamp(d) return (redis.call('HGET', RULES, 'version') or '0') .. d.rule end

-- A buyer's record in the ledger: units, and refs with a space before each.
local function units_and_refs(record)
  if not record then return 0, '' end
  local units, refs = string.match(record, '^(%d+)(.*)$')
  return tonumber(units), refs
end

-- The end of an order's JSON; price: its JSON members, or false where it is units x price.
local function order_tail(d, now, units, price)
  price = price or '"total":{"amount":' .. integer(units * d.amount) .. ',"currency":"' .. d.currency .. '"}'
  return ',' .. d.frozen .. ',' .. price .. ',"placed_ms":' .. integer(now) .. '}'
end

local function write_claims(d, now, units, placed)
  local left = on_sale(d)
  local gone = left == 0 and step_deal(d, 'sell_out')
  save_deal(d)
  wake(d, now + d.hold)
  redis.call('HSET', LEDGER, unpack(placed.ledger))
  redis.call('HSET', CLAIMS, unpack(placed.claims))
  redis.call('ZADD', HOLDS, unpack(placed.holds))
  local orders = '[' .. table.concat(placed.orders, ',') .. ']'
  redis.call('XADD', JOURNAL, '*', 'at_ms', integer(now), 'what', 'claimed', 'orders', orders)
  tell_all(LOG, placed.to, 'order.updated', 'order', orders)
  emit(ROOM, LOG, now, 'deal.claimed', '{"deal_id":"' .. d.id .. '","units":' .. integer(units) .. ',"left":'
    .. integer(left) .. ',"buyers":[' .. table.concat(placed.names, ',') .. '],"more":'
    .. integer(#placed.orders - #placed.names) .. '}')
  tell_low_stock(d, left + units)
  if gone then
    redis.call('HSETNX', DEAL, 'sold_out_ms', integer(now))
    announce(d, now, 'deal.sold_out')
  end
  show_stock(d)
end
