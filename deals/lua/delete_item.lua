-- delete_item.lua: take a stock item away, unless a bundle was ever made of it: its orders may still give units back.
-- KEYS: rules, due
-- ARGV: item id
-- Returns {0} or {REFUSED.item_not_found | illegal_state, why}
local RULES, id = KEYS[1], ARGV[1]
if redis.call('HEXISTS', RULES, 'item:' .. id) == 0 then
  return {REFUSED.item_not_found, 'There is no such stock item here.'}
end
if redis.call('HEXISTS', RULES, 'deals:' .. id) == 1 then
  return {REFUSED.illegal_state, 'A deal is made of this item.'}
end
redis.call('HDEL', RULES, 'item:' .. id, 'left:' .. id, 'taken:' .. id)
redis.call('HINCRBY', RULES, 'items', -1)
return {0}
