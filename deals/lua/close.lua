-- close.lua: close an open or sold-out deal before its time. Holds stay payable.
-- KEYS: those of a deal
-- ARGV: none
-- Returns {0, deal as JSON} or {REFUSED.deal_not_found | illegal_state, why}
local d, now = load_deal(), now_ms()
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
if not step_deal(d, 'close') then
  return {REFUSED.illegal_state, 'A deal that is ' .. d.state .. ' cannot be closed.'}
end
d.closes = now
save_deal(d)
wake(d, now)
announce(d, now, 'deal.closed')
return {0, deal_json(d, now)}
