-- bundle.lua: the stock items that a bundle deal takes, all or nothing; comes before deal.lua.
--
-- Items follow the deal's own left: whatever it falls or rises by between load_deal and save_deal is taken from, or
-- given back to, each part. So no other script has to know of them. d.parts: nil unless the deal is a bundle.

-- For how many sets the parts suffice, as long as the deal's own left is what it had.
local function count_sets(d)
  d.had, d.sets = d.left, math.huge
  for _, part in ipairs(d.parts) do d.sets = math.min(d.sets, math.floor(part.left / part.units)) end
end

local function load_parts(d, text)
  d.parts = {}
  for id, units in string.gmatch(text, '(%S+) (%d+)') do
    local left = tonumber(redis.call('HGET', RULES, 'left:' .. id) or '0')
    d.parts[#d.parts + 1] = {id = id, units = tonumber(units), left = left}
  end
  count_sets(d)
end

-- How many units of the deal can be claimed now: its own, as far as every part suffices.
local function on_sale(d)
  if not d.parts then return d.left end
  return math.max(0, math.min(d.left, d.sets - (d.had - d.left)))
end

-- Write what the parts gave or got. Other deals of the same items are looked at by tick.lua: theirs to announce.
local function save_parts(d)
  local sets, now, seen, due = d.had - d.left, integer(now_ms()), {[d.id] = true}, {}
  if sets == 0 then return end
  for _, part in ipairs(d.parts) do
    local units = sets * part.units
    part.left = part.left - units
    redis.call('HINCRBY', RULES, 'left:' .. part.id, integer(-units))
    redis.call('HINCRBY', RULES, 'taken:' .. part.id, integer(units))
    local others = redis.call('HGET', RULES, 'deals:' .. part.id) or ''
    -- Parts are often in the same deals: 10 parts of 200 deals, one by one, took 3 ms.
    if not seen[others] then
      seen[others] = true
      for id in string.gmatch(others, '%S+') do
        if not seen[id] then seen[id], due[#due + 1], due[#due + 2] = true, now, id end
      end
    end
  end
  if #due > 0 then redis.call('ZADD', DUE, 'XX', 'LT', unpack(due)) end
  count_sets(d)
end
