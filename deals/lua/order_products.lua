-- order_products.lua: put the showcase in another order: first the products named, then the others as they were.
-- Products that come later stand at the end. The order that already is says nothing twice.
-- KEYS: room, log, showcase
-- ARGV: product ids
-- Returns {0} or {REFUSED.product_not_found | invalid, why}
local ROOM, LOG, SHOWCASE = unpack(KEYS)
local now, fields, shown, rank, named = now_ms(), redis.call('HGETALL', SHOWCASE), {}, {}, {}
for i = 1, #fields, 2 do
  local id = string.match(fields[i], '^p:(.*)$')
  if id then shown[#shown + 1], rank[id] = {id = id, added = string.match(fields[i + 1], '^%d+')}, math.huge end
end
for id in string.gmatch(redis.call('HGET', SHOWCASE, 'order') or '', '%S+') do
  named[#named + 1] = id
  if rank[id] then rank[id] = #named end
end
table.sort(shown, function(a, b)
  if rank[a.id] ~= rank[b.id] then return rank[a.id] < rank[b.id] end
  if a.added ~= b.added then return a.added < b.added end
  return a.id < b.id
end)
local order, first = {}, {}
for _, id in ipairs(ARGV) do
  if not rank[id] then return {REFUSED.product_not_found, 'There is no such product here.'} end
  if first[id] then return {REFUSED.invalid, 'A product has one place only.'} end
  first[id], order[#order + 1] = true, id
end
for _, product in ipairs(shown) do
  if not first[product.id] then order[#order + 1] = product.id end
end
local same, json = true, {}
for i, id in ipairs(order) do same, json[i] = same and shown[i].id == id, json_string(id) end
if same then return {0} end
redis.call('HSET', SHOWCASE, 'order', table.concat(order, ' '))
emit(ROOM, LOG, now, 'product.order', '{"product_ids":[' .. table.concat(json, ',') .. ']}')
return {0}
