-- order.lua: what the scripts of one deal share about its orders; comes after deal.lua.
--
-- An order's text is JSON whose changing fields come first: {"state":…,"held_until_ms":…[,"paid_ms":…],"id":…
-- From "id" on it is frozen when the order is placed and copied byte by byte ever after.

-- Decoded is only what stands before the deal's own members: an order of a bundle of 10 has 1 KB after them. Quotes in
-- names and titles are escaped, so that no text can pass for a member.
local function load_order(ref)
  local text = redis.call('HGET', LEDGER, 'o:' .. ref)
  if not text then return nil end
  local from, _, upto = string.find(text, '"id":', 1, true), string.find(text, '},"units":%d+')
  local o = cjson.decode(string.sub(text, 1, upto) .. '}')
  return {ref = ref, state = o.state, held_until = o.held_until_ms, paid = o.paid_ms, units = o.units, buyer = o.buyer,
    placed = tonumber(string.match(text, ',"placed_ms":(%d+)}$')), code = string.match(text, ',"code":"([%w-]+)"'),
    total = tonumber(string.match(text, ',"total":{"amount":(%d+)')), rest = string.sub(text, from)}
end

local function order_json(o)
  return '{"state":"' .. o.state .. '","held_until_ms":' .. integer(o.held_until)
    .. (o.paid and ',"paid_ms":' .. integer(o.paid) or '') .. ',' .. o.rest
end

local function step_order(o, wanted)
  local to = ORDER_STEP[o.state][wanted]
  if to then o.state = to end
  return to ~= nil
end

-- Journal a step and tell the buyer.
local function record(o, now, what, json)
  redis.call('XADD', JOURNAL, '*', 'at_ms', integer(now), 'what', what, 'order', json)
  tell(LOG, o.buyer.id, 'order.updated', '{"order":' .. json .. '}')
end

local function write_order(o, now, what)
  local json = order_json(o)
  redis.call('HSET', LEDGER, 'o:' .. o.ref, json)
  record(o, now, what or o.state, json)
  return json
end

-- Count an order's units for a buyer's limit, and its code's use; with units < 0 give both back: after the order is
-- written, so that an error in between gives nothing twice.
local function count_units(o, units)
  if o.code then count_use(o.code, o.buyer.id, units < 0 and -1 or 1) end
  local field = 'b:' .. o.buyer.id
  local used, refs = string.match(redis.call('HGET', LEDGER, field) or '0', '^(%d+)(.*)$')
  redis.call('HSET', LEDGER, field, integer(math.max(0, tonumber(used) + units)) .. refs)
end

-- Whether so many units more are within a buyer's limit.
local function within_limit(d, user, units)
  local used = string.match(redis.call('HGET', LEDGER, 'b:' .. user) or '0', '^%d+')
  return tonumber(used) + units <= d.limit
end

-- What the deal has brought in: by 1 when an order is paid, by -1 when it will be refunded. (+ 0: never "-0")
local function count_revenue(o, by) redis.call('HINCRBY', DEAL, 'revenue', integer(by * o.total + 0)) end
