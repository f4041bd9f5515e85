-- waitlist_leave.lua: wait no more. Safe to repeat.
-- KEYS: those of a deal
-- ARGV: buyer id
-- Returns {0} or {REFUSED.deal_not_found, why}
local deal = redis.call('HGET', DEAL, 'id')
if not deal then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
local rank = redis.call('ZRANK', QUEUE, ARGV[1])
leave_queue(ARGV[1])
if rank and rank < TOLD then tell_places(deal) end
return {0}
