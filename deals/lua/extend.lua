-- extend.lua: close an open or sold-out deal later.
-- KEYS: those of a deal
-- ARGV: by how many ms; how far ahead the end may lie at most, ms
-- Returns {0, deal as JSON} or {REFUSED.deal_not_found | illegal_state | invalid, why}
local d, now = load_deal(), now_ms()
local by, most = tonumber(ARGV[1]), tonumber(ARGV[2])
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
if not DEAL_STEP[d.state].extend then
  return {REFUSED.illegal_state, 'A deal that is ' .. d.state .. ' cannot be extended.'}
end
if d.closes + by - now > most then return {REFUSED.invalid, 'The end may lie at most 24 hours ahead.'} end
step_deal(d, 'extend')
d.closes = d.closes + by
note_deal_price(d, now)
save_deal(d)
announce(d, now, 'deal.extended')
return {0, deal_json(d, now)}
