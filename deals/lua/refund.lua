-- refund.lua: paid -> refund_pending, by the host. The units are for sale again at once; the money follows.
-- KEYS: those of a deal
-- ARGV: order ref, after how many ms another worker may take the money's way up
-- Returns {0, order as JSON} or {REFUSED.order_not_found | illegal_state, why}
local d, o, now = load_deal(), load_order(ARGV[1]), now_ms()
if not o then return {REFUSED.order_not_found, 'There is no such order.'} end
if o.state == 'refund_pending' or o.state == 'refunded' then return {0, order_json(o)} end
if not step_order(o, 'refund') then
  return {REFUSED.illegal_state, 'An order that is ' .. o.state .. ' cannot be refunded.'}
end
advance(d, now)
local lease = now + tonumber(ARGV[2])
redis.call('ZREM', PAID, o.ref)
redis.call('ZADD', SETTLE, integer(lease), o.ref)
wake(d, lease)
local json = write_order(o, now)
count_units(o, -o.units)
count_revenue(o, -1)
give_back(d, 'sold', o.units, now)
return {0, json}
