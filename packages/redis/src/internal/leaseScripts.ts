// The protocol of LeasedSemaphore, as Redis runs it.
//
// A request is a ticket: `<session>.<number>`, written by whoever asks, so that
// what was asked can be taken back without knowing how far it came. Five keys, in one slot:
//
//   state    hash     capacity, held, token, top, turn
//   tickets  hash     ticket -> "weight" while it waits,
//                               "weight token slot,slot…" while it holds
//   queue    zset     tickets that wait, by turn
//   expiry   zset     every ticket, by the time it ends unless renewed
//   free     zset     slots below `top` that nobody holds
//
// Every script begins by taking away what has expired, and ends by serving the
// queue, so there is no state in which permits lie idle while their turn has
// come. What is handed to a waiter keeps the expiry that the waiter had: if its
// process is dead, the permits come back no later than the waiter would have
// gone, however many waiters it left.
//
// A token is greater than the last one and not below Redis's time in
// microseconds: it grows even where the data were lost, unless Redis's clock was
// set back by more than the loss took.
//
// Cost in Redis: O(log n) a ticket, O(weight) for its slots.

import type { Script } from "../RedisSession.ts"

// Lua that Redis 7 and any later Lua understand alike. Whole numbers go through `int`, since Lua writes large ones with an exponent.
const prelude = `
local state, tickets, queue, expiry, free = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wake, defaultCapacity = ARGV[1], ARGV[2]
local lease = tonumber(ARGV[3])
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local read = call('HMGET', state, 'capacity', 'held', 'token', 'top', 'turn')
local capacity = tonumber(read[1] or defaultCapacity)
local held, token = tonumber(read[2] or 0), tonumber(read[3] or 0)
local top, turn = tonumber(read[4] or 0), tonumber(read[5] or 0)
local known = read[1]

local function save()
  if known then call('HSET', state, 'held', int(held), 'token', int(token), 'top', int(top), 'turn', int(turn))
  else call('HSET', state, 'capacity', int(capacity), 'held', int(held), 'token', int(token), 'top', int(top), 'turn', int(turn)) end
end

local function drop(ticket)
  local record = call('HGET', tickets, ticket)
  if not record then return false end
  call('HDEL', tickets, ticket)
  call('ZREM', expiry, ticket)
  local weight, slots = string.match(record, '^(%d+) %d+ (.*)$')
  if not weight then
    call('ZREM', queue, ticket)
    return true
  end
  held = held - tonumber(weight)
  if held > 0 then
    for slot in string.gmatch(slots, '%d+') do call('ZADD', free, slot, slot) end
  else
    if top > 1 then call('DEL', free) end
    top = 0
  end
  return true
end

local function sweep()
  local gone = call('ZRANGEBYSCORE', expiry, '-inf', int(now))
  for _, ticket in ipairs(gone) do drop(ticket) end
  return #gone > 0
end

local function grant(ticket, weight)
  token = math.max(token + 1, micros)
  local slots = {}
  for i = 1, weight do
    if top > held then
      slots[i] = call('ZPOPMIN', free)[1]
    else
      slots[i] = int(top)
      top = top + 1
    end
    held = held + 1
  end
  local granted = int(token) .. ' ' .. table.concat(slots, ',')
  call('HSET', tickets, ticket, int(weight) .. ' ' .. granted)
  return granted
end

local function serve()
  while held < capacity do
    local head = call('ZRANGE', queue, 0, 0)[1]
    if not head then return end
    local weight = tonumber(call('HGET', tickets, head))
    if held + weight > capacity then return end
    call('ZREM', queue, head)
    call('PUBLISH', wake .. string.match(head, '^[^.]+'), head .. ' ' .. grant(head, weight))
  end
end

local function untilNext()
  local first = call('ZRANGE', expiry, 0, 0, 'WITHSCORES')[2]
  return first and int(math.max(0, tonumber(first) - now)) or '-1'
end
`

/** Asks for permits. ARGV: ticket, weight, whether to wait. */
export const acquireScript: Script = {
  lua: `${prelude}
local ticket, weight, wait = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
if sweep() then serve() end
if call('ZCARD', queue) == 0 and held + weight <= capacity then
  local granted = grant(ticket, weight)
  call('ZADD', expiry, int(now + lease), ticket)
  save()
  return 'held ' .. int(capacity) .. ' ' .. granted
end
if not wait then
  save()
  return 'full ' .. int(capacity)
end
turn = turn + 1
call('HSET', tickets, ticket, int(weight))
call('ZADD', queue, int(turn), ticket)
call('ZADD', expiry, int(now + lease), ticket)
save()
return 'waits ' .. int(capacity) .. ' ' .. untilNext()`
}

/** Gives permits back, and hands them on. ARGV: ticket. */
export const releaseScript: Script = {
  lua: `${prelude}
drop(ARGV[4])
sweep()
serve()
save()
return int(capacity)`
}

/**
 * Renews tickets and takes others away. ARGV: how many to renew, these, then those to take away. Answers the capacity,
 * how long until a ticket ends, and for each that was to be renewed `gone`, `waits` or what it holds.
 */
export const renewScript: Script = {
  lua: `${prelude}
local kept = tonumber(ARGV[4])
for i = 5 + kept, #ARGV do drop(ARGV[i]) end
sweep()
local answers = { int(capacity), '' }
serve()
for i = 5, 4 + kept do
  local ticket = ARGV[i]
  local record = call('HGET', tickets, ticket)
  if not record then
    answers[#answers + 1] = 'gone'
  else
    call('ZADD', expiry, int(now + lease), ticket)
    answers[#answers + 1] = string.match(record, '^%d+ (.*)$') or 'waits'
  end
end
save()
answers[2] = untilNext()
return answers`
}

/** Changes how many permits there are. ARGV: the number. */
export const resizeScript: Script = {
  lua: `${prelude}
capacity = tonumber(ARGV[4])
known = false
sweep()
serve()
save()
return int(capacity)`
}

/** What all processes hold together. */
export const inspectScript: Script = {
  lua: `${prelude}
sweep()
serve()
save()
return { int(capacity), int(held), int(call('ZCARD', queue)), int(token) }`
}
