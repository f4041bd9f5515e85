-- codes.lua: discount codes, and how often they are used; comes before order.lua.
--
-- RULES: code:<CODE> = '<most uses or 0> <most of one buyer or 0> <deal id or *> <JSON>', used:<CODE> = uses; USES:
-- '<CODE> <user id>' = uses of one buyer. An order is one use, while its units count for the buyer's limit.

-- Why this buyer has no use of the code left (of REFUSED), or nil; terms: what RULES has of the code, used: its uses.
local function no_use_left(code, user, terms, used)
  local most, each = string.match(terms, '^(%d+) (%d+) ')
  if most ~= '0' and tonumber(used or '0') >= tonumber(most) then return REFUSED.code_used_up end
  if each ~= '0' and tonumber(redis.call('HGET', USES, code .. ' ' .. user) or '0') >= tonumber(each) then
    return REFUSED.code_limit_reached
  end
end

-- Each code's terms and uses, read once a script.
local read_codes = {}

-- Why this buyer cannot use the code (of REFUSED), or nil; price: '' when it takes nothing off in this currency.
local function code_refusal(d, code, user, price)
  local f = read_codes[code] or redis.call('HMGET', RULES, 'code:' .. code, 'used:' .. code)
  read_codes[code] = f
  if not f[1] then return REFUSED.code_unknown end
  local deal = string.match(f[1], '^%d+ %d+ (%S+) ')
  if price == '' or deal ~= '*' and deal ~= d.id then return REFUSED.code_not_applicable end
  return no_use_left(code, user, f[1], f[2])
end

-- Whether all of these codes are what they were when they were read.
local function as_known(codes)
  for i = 1, #codes, 2 do
    if (redis.call('HGET', RULES, 'code:' .. codes[i]) or '') ~= codes[i + 1] then return false end
  end
  return true
end

local function count_use(code, user, by)
  local used = redis.call('HINCRBY', RULES, 'used:' .. code, by)
  if read_codes[code] then read_codes[code][2] = used end
  local field = code .. ' ' .. user
  if redis.call('HINCRBY', USES, field, by) == 0 then redis.call('HDEL', USES, field) end
end

-- Use a code for an order about to be placed; returns why not. An error after it loses a use, never gives one too many.
local function use_code(d, code, user, price)
  local no = code_refusal(d, code, user, price)
  if not no then count_use(code, user, 1) end
  return no
end

-- Whether an order that gave its code back may have it again. The limits count, even if it is for another deal by now.
local function code_is_left(o)
  if not o.code then return true end
  local f = redis.call('HMGET', RULES, 'code:' .. o.code, 'used:' .. o.code)
  return not f[1] or not no_use_left(o.code, o.buyer.id, f[1], f[2])
end
