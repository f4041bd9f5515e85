-- prices.lua: what products cost, for as long as the lowest price of 30 days can depend on it (EU Omnibus directive).
--
-- key: hash, product id = records '<till ms> <amount> <currency>;' of prices in force until then, the latest first,
-- and '+<since ms> <amount> <currency>;' of the one that the showcase shows now.
local KEPT_MS, MOST_RECORDS, MOST_PRODUCTS = 30 * 86400000, 50, 1000

local function records(key, product)
  return string.gmatch(redis.call('HGET', key, product) or '', '(%+?)(%d+) (%d+) (%u+);')
end

-- The lowest price in force in the 30 days before a moment, as JSON ('null': none is known); with or without the
-- showcase's own.
local function lowest_price(key, product, currency, before, with_shown)
  local low = math.huge
  for shown, till, amount, cur in records(key, product) do
    local counts = shown == '+' and with_shown or shown == '' and tonumber(till) > before - KEPT_MS
    if counts and cur == currency then low = math.min(low, tonumber(amount)) end
  end
  return low < math.huge and '{"amount":' .. integer(low) .. ',"currency":"' .. currency .. '"}' or 'null'
end

-- Write down a price: a deal's, in force until till; or, without till, the showcase's from now on (no amount: the
-- product leaves). Returns since when the showcase's is what it is. Only what can still be the lowest is kept; the
-- earliest of too many counts as long as the next one, so that it is rather shown too long.
local function note_price(key, product, now, amount, currency, till)
  local ended, shown, since = {}, '', now
  for mark, at, was, cur in records(key, product) do
    if mark == '' then ended[#ended + 1] = {tonumber(at), tonumber(was), cur}
    elseif till or tonumber(was) == amount and cur == currency then
      shown, since = '+' .. at .. ' ' .. was .. ' ' .. cur .. ';', tonumber(at)
    else ended[#ended + 1] = {now, tonumber(was), cur} end
  end
  if till then ended[#ended + 1] = {till, amount, currency}
  elseif amount and shown == '' then shown = '+' .. integer(now) .. ' ' .. integer(amount) .. ' ' .. currency .. ';' end
  table.sort(ended, function(a, b) return a[1] > b[1] or a[1] == b[1] and a[2] < b[2] end)
  local best, texts, last = {}, {}, nil
  for _, r in ipairs(ended) do
    if r[1] > since - KEPT_MS and r[2] < (best[r[3]] or math.huge) then
      best[r[3]] = r[2]
      local at = math.min(#texts + 1, MOST_RECORDS)
      if at > #texts then last = r elseif last[3] == r[3] then last[2] = r[2] end
      texts[at] = integer(last[1]) .. ' ' .. integer(last[2]) .. ' ' .. last[3] .. ';'
    end
  end
  local text = table.concat(texts) .. shown
  if text == '' then redis.call('HDEL', key, product) else redis.call('HSET', key, product, text) end
  return since
end
