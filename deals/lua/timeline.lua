-- timeline.lua: how a deal opens, closes and changes its state; comes after deal.lua and prices.lua.

-- Change the state as the table says, or answer false and change nothing. A deal that is over has no waiting list.
local function step_deal(d, wanted)
  local to = DEAL_STEP[d.state][wanted]
  d.state = to or d.state
  if to == 'closed' or to == 'cancelled' then redis.call('UNLINK', QUEUE, QUEUED) end
  return to ~= nil
end

-- The lowest price before this deal, where it says what to compare with.
local function find_lowest(d, before)
  if d.lowest == '' then return end
  d.lowest = d.product == '' and 'null' or lowest_price(PRICES, d.product, d.currency, before, true)
  redis.call('HSET', DEAL, 'lowest', d.lowest)
end

local function note_deal_price(d, now)
  if d.product ~= '' then note_price(PRICES, d.product, now, d.amount, d.currency, d.closes) end
end

local function open_deal(d, at, now)
  step_deal(d, 'open')
  d.opens, d.closes = at, at + d.duration
  find_lowest(d, at)
  note_deal_price(d, now)
  if on_sale(d) == 0 then step_deal(d, 'sell_out') end
  save_deal(d)
  wake(d, d.closes)
  announce(d, now, 'deal.opened')
end

-- Make true what the clock has already decided, whoever comes by first: so it is announced exactly once.
local function advance(d, now)
  if d.state == 'scheduled' and d.opens and d.opens <= now then open_deal(d, d.opens, now) end
  if DEAL_STEP[d.state].close and d.closes <= now then
    step_deal(d, 'close')
    save_deal(d)
    announce(d, now, 'deal.closed')
  end
end

-- Of a bundle only: another deal may have taken or given back what this one is made of.
local function look_at_parts(d, now)
  local sets, as_told = on_sale(d), redis.call('HGET', DEAL, 'shown')
  local true_state = (sets == 0) == (d.state == 'sold_out')
  if not DEAL_STEP[d.state].close or true_state and integer(sets) == as_told then return end
  tell_low_stock(d, tonumber(as_told) or math.huge)
  if sets == 0 and step_deal(d, 'sell_out') then
    save_deal(d)
    announce(d, now, 'deal.sold_out')
  elseif sets > 0 and step_deal(d, 'release') then
    save_deal(d)
    emit(ROOM, LOG, now, 'deal.released', '{"deal_id":"' .. d.id .. '","units":' .. integer(sets) .. ',"left":'
      .. integer(sets) .. '}')
  end
  show_stock(d)
end
