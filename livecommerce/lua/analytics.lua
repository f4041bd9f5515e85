-- analytics.lua: add what one worker counted of a show in the last seconds.
-- KEYS: analytics (hash), visitors (HyperLogLog), showcase (hash), then one HyperLogLog for each product viewed
-- ARGV: width of a bucket ms, most buckets, seconds the keys are kept, JSON {buckets: [[at_ms, viewers, messages], …],
--       visitors: [user ids], views: [[product id, [user ids]], … as the KEYS]}
-- Returns {0}
local HASH, VISITORS, SHOWCASE = KEYS[1], KEYS[2], KEYS[3]
local most, kept_s, told = tonumber(ARGV[2]), ARGV[3], cjson.decode(ARGV[4])
local width = tonumber(redis.call('HGET', HASH, 'width') or ARGV[1])
local first = tonumber(redis.call('HGET', HASH, 'first') or '-1')

-- Each two buckets become one: viewers are the more of both, messages their sum.
local function widen()
  local old, new, flat = redis.call('HGETALL', HASH), {}, {}
  width, first = width * 2, math.floor(first / 2)
  for i = 1, #old, 2 do
    local row, index = string.match(old[i], '^([vm]):(%d+)$')
    if row then
      local field, value = row .. ':' .. integer(math.floor(tonumber(index) / 2)), tonumber(old[i + 1])
      new[field] = row == 'v' and math.max(new[field] or 0, value) or (new[field] or 0) + value
    end
  end
  for field, value in pairs(new) do
    flat[#flat + 1], flat[#flat + 2] = field, integer(value)
  end
  redis.call('DEL', HASH)
  redis.call('HSET', HASH, 'width', integer(width), 'first', integer(first), unpack(flat))
end

for _, bucket in ipairs(told.buckets) do
  local at_ms, viewers, messages = unpack(bucket)
  if first < 0 then
    first = math.floor(at_ms / width)
    redis.call('HSET', HASH, 'width', integer(width), 'first', integer(first))
  end
  while math.floor(at_ms / width) - first >= most do widen() end
  -- A clock that was corrected may be a little behind.
  local index = integer(math.max(first, math.floor(at_ms / width)))
  if viewers > tonumber(redis.call('HGET', HASH, 'v:' .. index) or '0') then
    redis.call('HSET', HASH, 'v:' .. index, integer(viewers))
  end
  if messages > 0 then redis.call('HINCRBY', HASH, 'm:' .. index, integer(messages)) end
end
if #told.visitors > 0 then redis.call('PFADD', VISITORS, unpack(told.visitors)) end
for i, view in ipairs(told.views) do
  -- Only what is shown: an invented product must not make a key.
  if redis.call('HEXISTS', SHOWCASE, 'p:' .. view[1]) == 1 then
    redis.call('PFADD', KEYS[3 + i], unpack(view[2]))
    redis.call('EXPIRE', KEYS[3 + i], kept_s)
  end
end
redis.call('EXPIRE', HASH, kept_s)
redis.call('EXPIRE', VISITORS, kept_s)
return {0}
