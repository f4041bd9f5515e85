-- emit.lua: the prelude of every script that changes a room.
--
-- It numbers an event, appends it to the room's log and publishes it, inside the script that made the change: chat and
-- deals therefore share one order, and "stock left" can never arrive out of order.
--
-- The room's keys (livecommerce/keys.py): room = hash {epoch, offset}; log = stream whose entry <offset>-0 holds the
-- event as JSON in field "e". The log's key is also the name of the room's sharded pub/sub channel.
--
-- A published message is one tag byte and JSON: "n" a numbered event, "p" a private event (with its "to"),
-- "m" many private events at once (tell_all),
-- "l" a latest-only event. The JSON of a numbered event is exactly the text that viewers receive.

local LOG_CAP = 2000

-- Lua numbers are doubles and tostring() turns 1e14 and above into exponents: every integer is written by this.
local function integer(n) return string.format('%.0f', n) end

local function json_string(s) return cjson.encode(s) end

-- Valkey's clock, in milliseconds since the epoch: frozen for the length of a script, and the only clock that decides.
local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Number, log and publish one event; data is JSON text. Returns the event's offset.
local function emit(room, log, now, event_type, data)
  if redis.call('HEXISTS', room, 'epoch') == 0 then
    local t = redis.call('TIME')
    redis.call('HSET', room, 'epoch', t[1] .. string.format('%06d', tonumber(t[2])))
  end
  local offset = redis.call('HINCRBY', room, 'offset', 1)
  local event = '{"offset":' .. integer(offset) .. ',"type":"' .. event_type .. '","at_ms":' .. integer(now)
    .. ',"data":' .. data .. '}'
  redis.call('XADD', log, 'MAXLEN', '~', LOG_CAP, integer(offset) .. '-0', 'e', event)
  redis.call('SPUBLISH', log, 'n' .. event)
  return offset
end

-- Tell one user (their id) or one role ("role:host") something that has no place in the log.
local function tell(log, to, event_type, data)
  redis.call('SPUBLISH', log, 'p{"to":' .. json_string(to) .. ',"type":"' .. event_type .. '","data":' .. data .. '}')
end

-- Tell many users at once, each something of their own: to is a list of '["<user>","<origin>"]', values the JSON array
-- of what each is told, as that member of data. A connection that calls itself <origin> is not told: its reply says it.
local function tell_all(log, to, event_type, member, values)
  redis.call('SPUBLISH', log, 'm{"type":"' .. event_type .. '","member":"' .. member .. '","to":['
    .. table.concat(to, ',') .. '],"values":' .. values .. '}')
end

-- Tell all the newest value of something, named by slot: only the newest of a slot reaches a viewer, and it may be
-- dropped. as_of is the log's offset that the value reflects.
local function glance(room, log, slot, event_type, data)
  local as_of = tonumber(redis.call('HGET', room, 'offset') or '0')
  redis.call('SPUBLISH', log, 'l{"slot":' .. json_string(slot) .. ',"type":"' .. event_type .. '","as_of":'
    .. integer(as_of) .. ',"data":' .. data .. '}')
end
