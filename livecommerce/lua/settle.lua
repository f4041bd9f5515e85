-- settle.lua: make a worker the home of a stream's media, unless another one is.
-- KEYS: 1 home (string: worker id)
-- ARGV: 1 the worker that asks; 2 the worker known to be gone ('' when there was none)
-- Returns the home: ARGV[1], or who settled first.

local home = KEYS[1]
local worker, gone = ARGV[1], ARGV[2]

local current = redis.call('GET', home)
if current and current ~= gone then return current end

redis.call('SET', home, worker)
return worker
