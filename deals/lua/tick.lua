-- tick.lua: do what is due on a deal, a bounded chunk of it: open, close, expire holds, empty a cancelled deal, and
-- hand out orders whose money must be looked at (each to one worker, again after the lease).
-- KEYS: those of a deal
-- ARGV: deal id, chunk (of a bundle's orders half of it), lease ms
-- Returns {0, now, when it has to be looked at next or -1, ref…}
local d, now, chunk, lease = load_deal(), now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3])
if not d then
  redis.call('ZREM', DUE, ARGV[1])
  return {0, now, -1}
end
advance(d, now)
local cancelled = d.state == 'cancelled'
local function expire(o)
  if o.state == 'paying' then redis.call('ZADD', SETTLE, integer(now), o.ref) end
  local step = cancelled and ORDER_STEP[o.state].cancel and 'cancel' or 'expire'
  redis.call('ZREM', HOLDS, o.ref)
  if not step_order(o, step) then return 0 end
  write_order(o, now)
  count_units(o, -o.units)
  return o.units
end

local function refund(o)
  redis.call('ZREM', PAID, o.ref)
  if not step_order(o, 'refund') then return 0 end
  redis.call('ZADD', SETTLE, integer(now), o.ref)
  write_order(o, now)
  count_units(o, -o.units)
  count_revenue(o, -1)
  return o.units
end

local function sweep(key, upto, act, from)
  local units, most = 0, d.parts and math.ceil(chunk / 2) or chunk
  for _, ref in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', upto, 'LIMIT', 0, most)) do
    local o = load_order(ref)
    units = units + (o and act(o) or 0)
    if not o then redis.call('ZREM', key, ref) end
  end
  if units > 0 then give_back(d, from, units, now) end
  return units
end
local expired = sweep(HOLDS, cancelled and '+inf' or integer(now), expire, 'held')
if expired == 0 and somebody_waits(d) then give_back(d, 'held', 0, now) end
if cancelled then sweep(PAID, '+inf', refund, 'sold') end
if d.parts then look_at_parts(d, now) end

local reply = {0, now, -1, unpack(redis.call('ZRANGEBYSCORE', SETTLE, '-inf', integer(now), 'LIMIT', 0, chunk))}
for i = 4, #reply do redis.call('ZADD', SETTLE, integer(now + lease), reply[i]) end

local function first(key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) or math.huge end
local pending = somebody_waits(d) or cancelled and redis.call('ZCARD', HOLDS) + redis.call('ZCARD', PAID) > 0
local own = DEAL_STEP[d.state].close and d.closes or d.state == 'scheduled' and d.opens or math.huge
local next_at = pending and now or math.min(own, first(HOLDS), first(SETTLE))
if next_at < math.huge then
  redis.call('ZADD', DUE, integer(next_at), d.id)
  reply[3] = next_at
elseif d.state == 'scheduled' then redis.call('ZADD', DUE, '+inf', d.id)
else redis.call('ZREM', DUE, d.id) end
return reply
