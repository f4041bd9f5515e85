-- open.lua: open a scheduled deal at once, whatever its planned time.
-- KEYS: those of a deal
-- ARGV: none
-- Returns {0, deal as JSON} or {REFUSED.deal_not_found | illegal_state, why}
local d, now = load_deal(), now_ms()
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
if not DEAL_STEP[d.state].open then
  return {REFUSED.illegal_state, 'A deal that is ' .. d.state .. ' cannot be opened.'}
end
open_deal(d, now, now)
return {0, deal_json(d, now)}
