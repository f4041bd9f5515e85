-- cancel.lua: cancel a deal. tick.lua then gives back its holds and refunds its paid orders, a chunk at a time.
-- KEYS: those of a deal
-- ARGV: none
-- Returns {0, deal as JSON} or {REFUSED.deal_not_found | illegal_state, why}
local d, now = load_deal(), now_ms()
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
if not step_deal(d, 'cancel') then
  return {REFUSED.illegal_state, 'A deal that is ' .. d.state .. ' cannot be cancelled.'}
end
-- Never opened is what closes before it opens.
if d.closes then d.closes = math.min(d.closes, now) end
save_deal(d)
wake(d, now)
announce(d, now, 'deal.cancelled')
return {0, deal_json(d, now)}
