-- tariff.lua: read what decides the price of an order, all of one moment.
-- KEYS: those of a deal
-- ARGV: codes
-- Returns {0, stamp, frozen JSON members, terms JSON members, shipping as JSON or '', for each code what RULES has of
-- it or ''} or {REFUSED.deal_not_found, why}
local d = load_deal()
if not d then return {REFUSED.deal_not_found, 'There is no such deal here.'} end
local reply = {0, stamp(d), d.frozen, d.terms, redis.call('HGET', RULES, 'shipping') or ''}
if #ARGV == 0 then return reply end
local names = {}
for i, code in ipairs(ARGV) do names[i] = 'code:' .. code end
for _, text in ipairs(redis.call('HMGET', RULES, unpack(names))) do reply[#reply + 1] = text or '' end
return reply
