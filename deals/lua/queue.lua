-- queue.lua: who waits for a deal's units; shared by the scripts of a deal, after order.lua.
--
-- QUEUE: who waits, first come first; QUEUED: each one's '<ref> <JSON members "id", "buyer", "units">\n<those of its
-- price, where a rule changes it>' of the order that an offer would be.

-- How many of the next in line are told their new place.
local TOLD = 10

local function leave_queue(user)
  redis.call('ZREM', QUEUE, user)
  redis.call('HDEL', QUEUED, user)
end

-- The next in line are told where they stand now.
local function tell_places(deal)
  for i, user in ipairs(redis.call('ZRANGE', QUEUE, 0, TOLD - 1)) do
    tell(LOG, user, 'waitlist.position', '{"deal_id":"' .. deal .. '","position":' .. i .. '}')
  end
end

-- Whether units are left that are somebody's who waits: more came back at once than one script offers.
local function somebody_waits(d) return on_sale(d) > 0 and redis.call('EXISTS', QUEUE) == 1 end
