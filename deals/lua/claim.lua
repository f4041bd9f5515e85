-- claim.lua: decide many claims on one deal at once, in the order given. The hot path: what is the same for a batch
-- is made once, and an order's JSON is joined from three pieces.
-- KEYS: those of a deal
-- ARGV: most orders of one buyer in one deal; the claims as one msgpack array, 6 items a claim: field of its
--       idempotency key, ledger field of its buyer, units, ref of the order it would be, that order's JSON members
--       "id", "buyer", "units", whom to tell (tell_all); the stamp of the price rules that the prices are by; '' (all
--       are units x price) or the prices as one msgpack array, 2 items a claim: JSON members or '' (codes.lua), code;
--       '' or a msgpack array, 2 items a code: it, what RULES had of it or ''
-- Returns {0} if other rules or codes are in force, or {0, left, keys accepted ever, closes_at_ms (0: not open), now,
-- held_until_ms, frozen, outcome…}, an outcome being 1 (accepted), an order as JSON (a replay's, as it is now) or an
-- integer of REFUSED; or {REFUSED.…, why}. Keys, then clock, limit, stock, code; the stock is taken first of all, and
-- what is left while somebody waits for it is theirs (tick.lua).
local d, now, most, args = load_deal(), now_ms(), tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2])
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
if stamp(d) ~= ARGV[3] or ARGV[5] ~= '' and not as_known(cmsgpack.unpack(ARGV[5])) then return {0} end
advance(d, now)
local prices = ARGV[4] ~= '' and cmsgpack.unpack(ARGV[4])
local keys, buyers, deadline, taken, waited_for = {}, {}, integer(now + d.hold), 0, redis.call('EXISTS', QUEUE) == 1
for at = 1, #args, 6 do keys[#keys + 1], buyers[#buyers + 1] = args[at], args[at + 1] end
local accepted, records = redis.call('HMGET', CLAIMS, unpack(keys)), redis.call('HMGET', LEDGER, unpack(buyers))
local front = '{"state":"held","held_until_ms":' .. deadline .. ','
local placed, orders, to, names, used, refs, claims, ledger, holds, tails = {}, {}, {}, {}, {}, {}, {}, {}, {}, {}

local function place(key, who, at, mark, price)
  local n, units, head, ref, kind = #orders + 1, args[at + 2], args[at + 4], args[at + 3], price or args[at + 2]
  tails[kind] = tails[kind] or order_tail(d, now, units, price)
  d.left, d.held, taken = d.left - units, d.held + units, taken + units
  used[who], refs[who], placed[key] = used[who] + units, refs[who] .. ' ' .. ref, n
  orders[n], to[n] = front .. head .. tails[kind], args[at + 5]
  if n <= 10 then names[n] = string.match(head, '"name":(".*")},"units":%d+$') end
  claims[2 * n - 1], claims[2 * n], holds[2 * n - 1], holds[2 * n] = key, ref .. ' ' .. mark, deadline, ref
  ledger[4 * n - 3], ledger[4 * n - 2] = 'o:' .. ref, orders[n]
  ledger[4 * n - 1], ledger[4 * n] = who, used[who] .. refs[who]
  return 1
end

local function decide(i, key, who, at)
  local units, old = args[at + 2], placed[key] and claims[2 * placed[key]] or accepted[i]
  local price, code, mark = prices and prices[2 * i - 1], prices and prices[2 * i] or '', units
  if code ~= '' then mark = units .. ' ' .. code end
  if old then
    local ref, as = string.match(old, '^(%S+) (.+)$')
    if as ~= tostring(mark) then return REFUSED.key_reused end
    return orders[placed[key]] or redis.call('HGET', LEDGER, 'o:' .. ref)
  end
  if not used[who] then used[who], refs[who] = units_and_refs(records[i]) end
  if d.state == 'scheduled' then return REFUSED.not_open end
  if not DEAL_STEP[d.state].close then return REFUSED.closed end
  local orders_of = refs[who] == '' and 0 or select(2, string.gsub(refs[who], ' ', ''))
  if used[who] + units > d.limit or orders_of >= most then return REFUSED.limit_reached end
  if waited_for or units > on_sale(d) then return REFUSED.sold_out end
  local no = code ~= '' and use_code(d, code, string.sub(who, 3), price)
  return no or place(key, who, at, mark, price)
end
local reply = {0, 0, 0, DEAL_STEP[d.state].close and d.closes or 0, now, now + d.hold, d.frozen}
for i, key in ipairs(keys) do reply[i + 7] = decide(i, key, buyers[i], i * 6 - 5) end
local all = {orders = orders, to = to, names = names, claims = claims, ledger = ledger, holds = holds}
if taken > 0 then write_claims(d, now, taken, all) end
reply[2], reply[3] = on_sale(d), redis.call('HLEN', CLAIMS)
return reply
