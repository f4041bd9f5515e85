-- waitlist_leave.lua: wait no more. Safe to repeat.
-- KEYS: those of a deal
-- ARGV: buyer id
-- Returns {0} or {REFUSED.deal_not_found, why}
if redis.call('EXISTS', DEAL) == 0 then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
leave_queue(ARGV[1])
return {0}
