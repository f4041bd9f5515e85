-- cancel_order.lua: held -> cancelled: the buyer gives the units back.
-- KEYS: those of a deal
-- ARGV: order ref, buyer id
-- Returns {0, order as JSON} or {REFUSED.order_not_found | illegal_state, why}
local d, o, now = load_deal(), load_order(ARGV[1]), now_ms()
if not o or o.buyer.id ~= ARGV[2] then return {REFUSED.order_not_found, 'There is no such order.'} end
if not step_order(o, 'cancel') then
  return {REFUSED.illegal_state, 'An order that is ' .. o.state .. ' cannot be cancelled.'}
end
advance(d, now)
redis.call('ZREM', HOLDS, o.ref)
local json = write_order(o, now)
count_units(o, -o.units)
give_back(d, 'held', o.units, now)
return {0, json}
