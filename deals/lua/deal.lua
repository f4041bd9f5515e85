-- deal.lua: what the scripts of one deal share; scripts.py puts it and the tables DEAL_STEP, ORDER_STEP, REFUSED first.
-- All of them take these KEYS (deals/keys.py) and answer {0, result…} or {REFUSED.<code>, why}.
local ROOM, LOG, DEAL, DUE, LEDGER, CLAIMS, HOLDS, PAID, SETTLE, JOURNAL, QUEUE, QUEUED = unpack(KEYS)

local function load_deal()
  local f = redis.call('HMGET', DEAL, 'id', 'state', 'left', 'held', 'sold', 'opens_at_ms', 'closes_at_ms',
    'duration_ms', 'hold_ms', 'limit', 'amount', 'currency', 'terms', 'frozen', 'low')
  if not f[1] then return nil end
  return {id = f[1], state = f[2], left = tonumber(f[3]), held = tonumber(f[4]), sold = tonumber(f[5]),
    opens = tonumber(f[6]), closes = tonumber(f[7]), duration = tonumber(f[8]), hold = tonumber(f[9]),
    limit = tonumber(f[10]), amount = tonumber(f[11]), currency = f[12], terms = f[13], frozen = f[14],
    low = tonumber(f[15] or '0')}
end

local function save_deal(d)
  redis.call('HSET', DEAL, 'state', d.state, 'left', integer(d.left), 'held', integer(d.held), 'sold', integer(d.sold),
    'opens_at_ms', d.opens and integer(d.opens) or '', 'closes_at_ms', d.closes and integer(d.closes) or '')
end

local function deal_json(d, now)
  return '{' .. d.terms .. ',"opens_at_ms":' .. (d.opens and integer(d.opens) or 'null') .. ',"closes_at_ms":'
    .. (d.closes and integer(d.closes) or 'null') .. ',"state":"' .. d.state .. '","left":' .. integer(d.left)
    .. ',"held":' .. integer(d.held) .. ',"sold":' .. integer(d.sold) .. ',"server_ms":' .. integer(now) .. '}'
end

local function announce(d, now, kind) emit(ROOM, LOG, now, kind, '{"deal":' .. deal_json(d, now) .. '}') end

local function show_stock(d)
  glance(ROOM, LOG, 'stock:' .. d.id, 'deal.stock', '{"deal_id":"' .. d.id .. '","left":' .. integer(d.left)
    .. ',"held":' .. integer(d.held) .. ',"sold":' .. integer(d.sold) .. '}')
end

-- The deal has something due at that moment: only ever earlier, tick.lua alone knows when it is later.
local function wake(d, at) redis.call('ZADD', DUE, 'LT', integer(at), d.id) end

-- Change the state as the table says, or answer false and change nothing. A deal that is over has no waiting list.
local function step_deal(d, wanted)
  local to = DEAL_STEP[d.state][wanted]
  d.state = to or d.state
  if to == 'closed' or to == 'cancelled' then redis.call('UNLINK', QUEUE, QUEUED) end
  return to ~= nil
end

local function open_deal(d, at, now)
  step_deal(d, 'open')
  d.opens, d.closes = at, at + d.duration
  save_deal(d)
  wake(d, d.closes)
  announce(d, now, 'deal.opened')
end

-- Make true what the clock has already decided, whoever comes by first: so it is announced exactly once.
local function advance(d, now)
  if d.state == 'scheduled' and d.opens and d.opens <= now then open_deal(d, d.opens, now) end
  if DEAL_STEP[d.state].close and d.closes <= now then
    step_deal(d, 'close')
    save_deal(d)
    announce(d, now, 'deal.closed')
  end
end
