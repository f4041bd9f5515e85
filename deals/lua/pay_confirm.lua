-- pay_confirm.lua: the money is here. paying -> paid; an expired order is rescued if its units (and a use of its code)
-- are left and its buyer may have them, else it is paid too late and will be refunded. Safe to repeat.
-- KEYS: those of a deal
-- ARGV: order ref
-- Returns {0, order as JSON} or {REFUSED.order_not_found | illegal_state, why}; illegal: nobody wants the money
local d, o, now = load_deal(), load_order(ARGV[1]), now_ms()
if not o then return {REFUSED.order_not_found, 'There is no such order.'} end
if o.paid then return {0, order_json(o)} end
-- A dead attempt's money may find the order held again: it is that payment after all.
if o.state == 'held' then step_order(o, 'pay') end
local before = on_sale(d)
local rescued = d.state ~= 'cancelled' and before >= o.units and within_limit(d, o.buyer.id, o.units)
  and code_is_left(o)
if ORDER_STEP[o.state].confirm then
  step_order(o, 'confirm')
  d.held, d.sold = d.held - o.units, d.sold + o.units
elseif rescued and step_order(o, 'rescue') then
  d.left, d.sold = d.left - o.units, d.sold + o.units
  count_units(o, o.units)
elseif not step_order(o, 'miss') then
  return {REFUSED.illegal_state, 'An order that is ' .. o.state .. ' takes no money.'}
end
o.paid = now
redis.call('HDEL', LEDGER, 'a:' .. o.ref)
redis.call('ZREM', SETTLE, o.ref)
if o.state == 'paid_late' then
  write_order(o, now)
  step_order(o, 'refund')
  redis.call('ZADD', SETTLE, integer(now), o.ref)
  wake(d, now)
  return {0, write_order(o, now)}
end
redis.call('ZREM', HOLDS, o.ref)
redis.call('ZADD', PAID, integer(now), o.ref)
-- On a cancelled deal (paying when it was cancelled) the paid units are tick.lua's to refund.
if d.state == 'cancelled' then wake(d, now) end
local gone = on_sale(d) == 0 and step_deal(d, 'sell_out')
count_revenue(o, 1)
save_deal(d)
local json = write_order(o, now)
emit(ROOM, LOG, now, 'purchase', '{"deal_id":"' .. d.id .. '","buyer":{"name":' .. json_string(o.buyer.name)
  .. '},"units":' .. integer(o.units) .. '}')
tell_low_stock(d, before)
if gone then announce(d, now, 'deal.sold_out') end
show_stock(d)
return {0, json}
