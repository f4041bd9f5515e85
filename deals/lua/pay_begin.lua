-- pay_begin.lua: held -> paying. The first time, the hold is extended by the grace, so that paying has time to end.
-- A paying order whose attempt began long ago (its worker died) may be taken over; a paid order answers as it is.
-- KEYS: those of a deal
-- ARGV: order ref, buyer id, this attempt's id, grace ms, after how many ms an attempt counts as dead, most attempts
-- Returns {0, order as JSON[, 1: taken over]} or {REFUSED.order_not_found | illegal_state, why[, retry after ms]}
local d, o, now = load_deal(), load_order(ARGV[1]), now_ms()
if not o or o.buyer.id ~= ARGV[2] then return {REFUSED.order_not_found, 'There is no such order.'} end
if o.state == 'paid' then return {0, order_json(o)} end
if o.state == 'paying' then
  local began = tonumber(string.match(redis.call('HGET', LEDGER, 'a:' .. o.ref) or '', ' (%d+)$') or '0')
  if now - began < tonumber(ARGV[5]) then
    return {REFUSED.illegal_state, 'A payment of this order is going on.', began + tonumber(ARGV[5]) - now}
  end
elseif not ORDER_STEP[o.state].pay then
  return {REFUSED.illegal_state, 'An order that is ' .. o.state .. ' cannot be paid.'}
end
-- Whoever comes after the deadline is late, even if tick.lua was not here yet.
if o.held_until <= now then return {REFUSED.illegal_state, 'The hold has expired.'} end
local attempts = tonumber(redis.call('HGET', LEDGER, 'n:' .. o.ref) or '0') + 1
if attempts > tonumber(ARGV[6]) then
  return {REFUSED.illegal_state, 'This order was tried to be paid too often.'}
end
redis.call('HSET', LEDGER, 'n:' .. o.ref, integer(attempts))
redis.call('HSET', LEDGER, 'a:' .. o.ref, ARGV[3] .. ' ' .. integer(now))
-- Should the attempt die, or its answer be lost, some worker asks the provider once it counts as dead.
redis.call('ZADD', SETTLE, integer(now + tonumber(ARGV[5])), o.ref)
wake(d, now + tonumber(ARGV[5]))
if not step_order(o, 'pay') then return {0, order_json(o), 1} end
if o.held_until <= o.placed + d.hold then o.held_until = o.held_until + tonumber(ARGV[4]) end
redis.call('ZADD', HOLDS, integer(o.held_until), o.ref)
return {0, write_order(o, now)}
