-- refunded.lua: refund_pending -> refunded: the provider has given the money back. Safe to repeat.
-- KEYS: those of a deal
-- ARGV: order ref
-- Returns {0, order as JSON} or {REFUSED.order_not_found | illegal_state, why}
local o, now = load_order(ARGV[1]), now_ms()
if not o then return {REFUSED.order_not_found, 'There is no such order.'} end
if o.state == 'refunded' then return {0, order_json(o)} end
if not step_order(o, 'refunded') then
  return {REFUSED.illegal_state, 'An order that is ' .. o.state .. ' has no refund on its way.'}
end
redis.call('ZREM', SETTLE, o.ref)
return {0, write_order(o, now)}
