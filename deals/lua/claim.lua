-- claim.lua: decide many claims on one deal at once, in the order given.
-- KEYS: those of a deal
-- ARGV: most orders of one buyer in one deal; then 6 a claim: field of its idempotency key, buyer id, buyer name,
--       units, ref of the order it would be, that order's JSON members "id", "buyer", "units"
-- Returns {0, left, outcome…}, each outcome the order as JSON (a replay's as it is now) or an integer of REFUSED; or
-- {REFUSED.deal_not_found, why}. Keys, then clock, limit, stock; the stock is taken before an order exists.
local d, now, most = load_deal(), now_ms(), tonumber(ARGV[1])
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
advance(d, now)
local keys, buyers, deadline = {}, {}, integer(now + d.hold)
for at = 2, #ARGV, 6 do keys[#keys + 1], buyers[#buyers + 1] = ARGV[at], 'b:' .. ARGV[at + 1] end
local accepted, records = redis.call('HMGET', CLAIMS, unpack(keys)), redis.call('HMGET', LEDGER, unpack(buyers))
local reply, placed, taken, names, used, refs, claims, ledger, holds = {0, 0}, {}, 0, {}, {}, {}, {}, {}, {}

local function count(list) return select(2, string.gsub(list, ' ', '')) end

local function place(i, at, units, ref)
  local who, order = buyers[i], {ref = ref, buyer = {id = ARGV[at + 1]}, mark = ref .. ' ' .. integer(units)}
  order.json = '{"state":"held","held_until_ms":' .. deadline .. ',' .. ARGV[at + 5] .. ',' .. d.frozen
    .. ',"total":{"amount":' .. integer(units * d.amount) .. ',"currency":"' .. d.currency .. '"},"placed_ms":'
    .. integer(now) .. '}'
  d.left, d.held, taken = d.left - units, d.held + units, taken + units
  used[who], refs[who] = used[who] + units, refs[who] .. ' ' .. ref
  placed[#placed + 1], placed[keys[i]] = order, order
  if #names < 10 then names[#names + 1] = json_string(ARGV[at + 2]) end
  claims[#claims + 1], claims[#claims + 2] = keys[i], order.mark
  ledger[#ledger + 1], ledger[#ledger + 2], ledger[#ledger + 3], ledger[#ledger + 4] = 'o:' .. ref, order.json, who,
    integer(used[who]) .. refs[who]
  holds[#holds + 1], holds[#holds + 2] = deadline, ref
  return order.json
end
for i, key in ipairs(keys) do
  local at, who, new = i * 6 - 4, buyers[i], placed[key]
  local units, old = tonumber(ARGV[at + 3]), new and new.mark or accepted[i] or ''
  local old_ref, old_units = string.match(old, '^(%S+) (%d+)$')
  if not used[who] then
    local n, list = string.match(records[i] or '0', '^(%d+)(.*)$')
    used[who], refs[who] = tonumber(n), list
  end
  if old_ref and tonumber(old_units) ~= units then reply[i + 2] = REFUSED.key_reused
  elseif old_ref then reply[i + 2] = new and new.json or redis.call('HGET', LEDGER, 'o:' .. old_ref)
  elseif d.state == 'scheduled' then reply[i + 2] = REFUSED.not_open
  elseif not DEAL_STEP[d.state].close then reply[i + 2] = REFUSED.closed
  elseif used[who] + units > d.limit or count(refs[who]) >= most then reply[i + 2] = REFUSED.limit_reached
  elseif units > d.left then reply[i + 2] = REFUSED.sold_out
  else reply[i + 2] = place(i, at, units, ARGV[at + 4]) end
end
reply[2] = d.left
if taken == 0 then return reply end
local gone = d.left == 0 and step_deal(d, 'sell_out')
save_deal(d)
wake(d, now + d.hold)
for key, fields in pairs({[LEDGER] = ledger, [CLAIMS] = claims}) do redis.call('HSET', key, unpack(fields)) end
redis.call('ZADD', HOLDS, unpack(holds))
for _, order in ipairs(placed) do record(order, now, 'claimed', order.json) end
emit(ROOM, LOG, now, 'deal.claimed', '{"deal_id":"' .. d.id .. '","units":' .. integer(taken) .. ',"left":'
  .. integer(d.left) .. ',"buyers":[' .. table.concat(names, ',') .. '],"more":' .. integer(#placed - #names) .. '}')
if gone then announce(d, now, 'deal.sold_out') end
show_stock(d)
return reply
