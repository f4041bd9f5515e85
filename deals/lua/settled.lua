-- settled.lua: an expired order was looked at and no money had come: stop looking, once the time for it is over.
-- KEYS: those of a deal
-- ARGV: order ref, how long after the deadline money may still come, ms
-- Returns {0}; otherwise the order stays on the list and comes up again
local o, now = load_order(ARGV[1]), now_ms()
if not o or (o.state ~= 'refund_pending' and now > o.held_until + tonumber(ARGV[2])) then
  redis.call('ZREM', SETTLE, ARGV[1])
end
return {0}
