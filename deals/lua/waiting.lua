-- waiting.lua: units that come back go to who waits for them; shared by the scripts of a deal, after queue.lua.
-- A unit that comes back while somebody waits goes from hand to hand.

-- Offers made by one script: what bounds its length.
local OFFERS = 10

-- The unit is taken already.
local function offer(d, o, members, price, now)
  local who, deadline = 'b:' .. o.buyer.id, now + d.hold
  local used, refs = string.match(redis.call('HGET', LEDGER, who) or '0', '^(%d+)(.*)$')
  if tonumber(used) + 1 > d.limit then return false end
  if price == '' then price = '"total":{"amount":' .. integer(d.amount) .. ',"currency":"' .. d.currency .. '"}' end
  local json = '{"state":"held","held_until_ms":' .. integer(deadline) .. ',' .. members .. ',' .. d.frozen .. ','
    .. price .. ',"placed_ms":' .. integer(now) .. '}'
  redis.call('HSET', LEDGER, 'o:' .. o.ref, json, who, integer(tonumber(used) + 1) .. refs .. ' ' .. o.ref)
  redis.call('ZADD', HOLDS, integer(deadline), o.ref)
  redis.call('XADD', JOURNAL, '*', 'at_ms', integer(now), 'what', 'offered', 'order', json)
  tell(LOG, o.buyer.id, 'waitlist.offer', '{"order":' .. json .. '}')
  return true
end

-- Give what is left to the first in line, one unit each; returns how many units went.
local function serve_queue(d, now)
  local most = DEAL_STEP[d.state].close and math.min(OFFERS, on_sale(d), redis.call('ZCARD', QUEUE)) or 0
  if most == 0 then return 0 end
  -- As everywhere, the stock is taken before an order is written: an error in between undersells.
  d.left, d.held = d.left - most, d.held + most
  save_deal(d)
  local given = 0
  for _ = 1, OFFERS do
    local user = given < most and redis.call('ZRANGE', QUEUE, 0, 0)[1]
    if not user then break end
    local ref, members, price = string.match(redis.call('HGET', QUEUED, user), '^(%S+) ([^\n]*)\n(.*)$')
    leave_queue(user)
    if offer(d, {ref = ref, buyer = {id = user}}, members, price, now) then given = given + 1 end
  end
  d.left, d.held = d.left + most - given, d.held - most + given
  if given > 0 then wake(d, now + d.hold) end
  tell_places(d.id)
  if somebody_waits(d) then wake(d, now) end
  return given
end

-- Units come back, from 'held' or 'sold': the last thing that happens to them, so that an error undersells.
local function give_back(d, from, units, now)
  d[from], d.left = d[from] - units, d.left + units
  local back = units - serve_queue(d, now)
  if on_sale(d) > 0 then step_deal(d, 'release') end
  save_deal(d)
  local data = '{"deal_id":"' .. d.id .. '","units":' .. integer(back) .. ',"left":' .. integer(on_sale(d)) .. '}'
  if back > 0 then emit(ROOM, LOG, now, 'deal.released', data) end
  show_stock(d)
end
