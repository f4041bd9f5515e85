-- deal.lua: a deal as the scripts hold it, and how it is told; comes after of_deal.lua and bundle.lua.

local function load_deal()
  local f = redis.call('HMGET', DEAL, 'id', 'state', 'left', 'held', 'sold', 'opens_at_ms', 'closes_at_ms',
    'duration_ms', 'hold_ms', 'limit', 'amount', 'currency', 'terms', 'frozen', 'low',
    'rule', 'product_id', 'lowest', 'bundle')
  if not f[1] then return nil end
  local d = {id = f[1], state = f[2], left = tonumber(f[3]), held = tonumber(f[4]), sold = tonumber(f[5]),
    opens = tonumber(f[6]), closes = tonumber(f[7]), duration = tonumber(f[8]), hold = tonumber(f[9]),
    limit = tonumber(f[10]), amount = tonumber(f[11]), currency = f[12], terms = f[13], frozen = f[14],
    low = tonumber(f[15] or '0'), rule = f[16] or '', product = f[17] or '', lowest = f[18] or ''}
  if f[19] then load_parts(d, f[19]) end
  return d
end

local function save_deal(d)
  if d.parts then save_parts(d) end
  redis.call('HSET', DEAL, 'state', d.state, 'left', integer(d.left), 'held', integer(d.held), 'sold', integer(d.sold),
    'opens_at_ms', d.opens and integer(d.opens) or '', 'closes_at_ms', d.closes and integer(d.closes) or '')
end

local function deal_json(d, now)
  return '{' .. d.terms .. ',"opens_at_ms":' .. (d.opens and integer(d.opens) or 'null') .. ',"closes_at_ms":'
    .. (d.closes and integer(d.closes) or 'null') .. ',"state":"' .. d.state .. '","left":' .. integer(on_sale(d))
    .. ',"held":' .. integer(d.held) .. ',"sold":' .. integer(d.sold) .. ',"lowest_30d":'
    .. (d.lowest == '' and 'null' or d.lowest) .. ',"server_ms":' .. integer(now) .. '}'
end

local function announce(d, now, kind) emit(ROOM, LOG, now, kind, '{"deal":' .. deal_json(d, now) .. '}') end

local function show_stock(d)
  if d.parts then redis.call('HSET', DEAL, 'shown', integer(on_sale(d))) end
  glance(ROOM, LOG, 'stock:' .. d.id, 'deal.stock', '{"deal_id":"' .. d.id .. '","left":'
    .. integer(on_sale(d)) .. ',"held":' .. integer(d.held) .. ',"sold":' .. integer(d.sold) .. '}')
end

-- The host is told when what is on sale falls to that level, from what it was before.
local function tell_low_stock(d, before)
  local left = on_sale(d)
  if left <= d.low and before > d.low then
    tell(LOG, 'role:host', 'deal.low_stock', '{"deal_id":"' .. d.id .. '","left":' .. integer(left) .. '}')
  end
end

-- The deal has something due at that moment: only ever earlier, tick.lua alone knows when it is later.
local function wake(d, at) redis.call('ZADD', DUE, 'LT', integer(at), d.id) end
