-- put_item.lua: make a stock item, or change its title and how many there are: never fewer than orders have.
-- KEYS: rules, due
-- ARGV: item id, stock, title, most items of a stream
-- Returns {0, left} or {REFUSED.invalid | illegal_state, why}
local RULES, DUE = KEYS[1], KEYS[2]
local id, stock, cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local taken = tonumber(redis.call('HGET', RULES, 'taken:' .. id) or '0')
if stock < taken then return {REFUSED.illegal_state, 'Orders have ' .. taken .. ' of these.'} end
if redis.call('HEXISTS', RULES, 'item:' .. id) == 0 then
  if tonumber(redis.call('HGET', RULES, 'items') or '0') >= cap then
    return {REFUSED.invalid, 'A stream has at most ' .. cap .. ' stock items.'}
  end
  redis.call('HINCRBY', RULES, 'items', 1)
end
redis.call('HSET', RULES, 'item:' .. id, ARGV[2] .. ' ' .. ARGV[3], 'left:' .. id, integer(stock - taken),
  'taken:' .. id, integer(taken))
for deal in string.gmatch(redis.call('HGET', RULES, 'deals:' .. id) or '', '%S+') do
  redis.call('ZADD', DUE, 'XX', 'LT', integer(now_ms()), deal)
end
return {0, stock - taken}
