-- pay_decline.lua: paying -> held: the provider said no. Only the attempt that is going on can say so.
-- KEYS: those of a deal
-- ARGV: order ref, attempt id
-- Returns {0, order as JSON} or {REFUSED.order_not_found, why}
local o, now = load_order(ARGV[1]), now_ms()
if not o then return {REFUSED.order_not_found, 'There is no such order.'} end
local attempt = string.match(redis.call('HGET', LEDGER, 'a:' .. o.ref) or '', '^(%S+) ')
if attempt ~= ARGV[2] or not ORDER_STEP[o.state].decline then return {0, order_json(o)} end
redis.call('HDEL', LEDGER, 'a:' .. o.ref)
redis.call('ZREM', SETTLE, o.ref)
step_order(o, 'decline')
return {0, write_order(o, now, 'declined')}
