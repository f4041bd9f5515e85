-- waitlist_join.lua: wait for a unit of a sold-out deal. Who waits already keeps the place.
-- KEYS: those of a deal
-- ARGV: buyer id, ref of the order an offer would be, that order's JSON members "id", "buyer", "units", most who wait,
--       its JSON members of its price, or '' where no rule changes that; most orders of one buyer in one deal
-- Returns {0, position} or {REFUSED.deal_not_found | not_open | closed | illegal_state | limit_reached, why}
local d, now, user = load_deal(), now_ms(), ARGV[1]
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
local rank = redis.call('ZRANK', QUEUE, user)
if rank then return {0, rank + 1} end
if d.state == 'scheduled' then return {REFUSED.not_open, 'The deal has not opened yet.'} end
if not DEAL_STEP[d.state].close then return {REFUSED.closed, 'The deal is over.'} end
if on_sale(d) > 0 then return {REFUSED.illegal_state, 'Units are left: claim one.'} end
local placed = select(2, string.gsub(redis.call('HGET', LEDGER, 'b:' .. user) or '', ' ', ''))
if not within_limit(d, user, 1) or placed >= tonumber(ARGV[6]) then
  return {REFUSED.limit_reached, 'You have as many of these as one buyer may.'}
end
if redis.call('ZCARD', QUEUE) >= tonumber(ARGV[4]) then
  return {REFUSED.limit_reached, 'The waiting list is full.'}
end
redis.call('ZADD', QUEUE, redis.call('HINCRBY', DEAL, 'joined', 1), user)
redis.call('HSET', QUEUED, user, ARGV[2] .. ' ' .. ARGV[3] .. '\n' .. ARGV[5])
return {0, redis.call('ZRANK', QUEUE, user) + 1}
