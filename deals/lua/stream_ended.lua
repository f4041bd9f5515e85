-- stream_ended.lua: the deal's stream is over: close what was open, cancel what was scheduled, leave the rest.
-- KEYS: those of a deal
-- ARGV: none
-- Returns {0}; safe to repeat
local d, now = load_deal(), now_ms()
if not d then return {0} end
advance(d, now)
local event
if step_deal(d, 'close') then
  d.closes, event = now, 'deal.closed'
elseif d.state == 'scheduled' then
  step_deal(d, 'cancel')
  if d.closes then d.closes = now end
  event = 'deal.cancelled'
end
if event then
  save_deal(d)
  wake(d, now)
  announce(d, now, event)
end
return {0}
