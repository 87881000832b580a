// The protocol of LeasedSemaphore, as Redis runs it.
//
// A request is a ticket, known by the id that whoever asks gives it, so that
// what was asked can be taken back without knowing how far it came. It is
// written "id weight" while it waits, "id weight token slot,slot…" while it holds.
// Four keys, in one slot of a cluster:
//
//   state    string   capacity, held, the last token, top, the last turn, how many
//                     wait, and a time before which no ticket ends
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
// Cost in Redis: O(log n) a ticket, O(weight) for its slots. A ticket that is taken
// away by a process that did not hear what became of it costs O(n) once a command.

import type { Script } from "../RedisSession.ts"

// What all scripts get: the channel's beginning, the capacity where Redis has lost it, and the lease. In Lua that
// Redis 7 and later Luas understand alike. Whole numbers are written by `int`: Lua writes large ones with an exponent.
const prelude = `
local state, queue, expiry, free = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call, match, never = redis.call, string.match, 9e15
local function int(n) return string.format('%.0f', n) end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wake, ofOld, lease = match(ARGV[1], '^(.*) (%d+) (%S+)$')
lease = tonumber(lease)
local c, h, t, p, u, w, s = match(call('GET', state) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
local capacity = tonumber(c or ofOld)
local held, token, top = tonumber(h or 0), tonumber(t or 0), tonumber(p or 0)
local turn, waiting, soonest = tonumber(u or 0), tonumber(w or 0), tonumber(s or never)
local freed, ends, index, wanted = {}, {}, nil, 0

local function inBatches(command, key, args)
  for at = 1, #args, 1000 do call(command, key, unpack(args, at, math.min(at + 999, #args))) end
end

-- Many a script adds many: they go together when it ends.
local function expires(at, ticket)
  ends[#ends + 1], ends[#ends + 2] = at, ticket
  if at < soonest then soonest = at end
end

local function find(id)
  if not index then
    index = {}
    for _, ticket in ipairs(call('ZRANGE', expiry, 0, -1)) do index[match(ticket, '^%S+')] = ticket end
  end
  return index[id]
end

local function forget(ticket)
  if index then index[match(ticket, '^%S+')] = nil end
  local weight, slots = match(ticket, '^%S+ (%d+) %d+ (%S+)$')
  if weight then
    held = held - weight
    for slot in string.gmatch(slots, '%d+') do freed[#freed + 1] = slot end
  else
    call('ZREM', queue, ticket)
    waiting = waiting - 1
  end
end

local function grant(ticket, weight, at)
  token = math.max(token + 1, time[1] * 1000000 + time[2])
  local slots = {}
  for i = 1, weight do
    if #freed > 0 then
      slots[i] = table.remove(freed)
    elseif top > held then
      local lowest = call('ZPOPMIN', free, math.min(top - held, math.max(wanted, 1)))
      for at = #lowest - 1, 3, -2 do freed[#freed + 1] = lowest[at] end
      slots[i] = lowest[1]
    else
      slots[i] = int(top)
      top = top + 1
    end
    held, wanted = held + 1, wanted - 1
  end
  local granted = int(token) .. ' ' .. table.concat(slots, ',')
  expires(at, ticket .. ' ' .. granted)
  return granted
end
`

// The steps of a script as text, not as functions: Lua makes a function anew each time that a script runs.

/** Takes away what has expired. */
const sweep = `
local changed = false
if now >= soonest then
  local gone = call('ZRANGEBYSCORE', expiry, '-inf', int(now))
  for _, ticket in ipairs(gone) do forget(ticket) end
  inBatches('ZREM', expiry, gone)
  soonest = tonumber(call('ZRANGE', expiry, 0, 0, 'WITHSCORES')[2] or never)
  changed = #gone > 0
end
`

/** Hands over to those whose turn it is. */
const serve = `
while waiting > 0 and held < capacity do
  local ticket = call('ZRANGE', queue, 0, 0)[1]
  local id, session, weight = match(ticket, '^(([^.]+)%S+) (%d+)$')
  weight = tonumber(weight)
  if held + weight > capacity then break end
  local at = tonumber(call('ZSCORE', expiry, ticket))
  call('ZREM', queue, ticket)
  call('ZREM', expiry, ticket)
  waiting, index = waiting - 1, nil
  call('PUBLISH', wake .. session, id .. ' ' .. grant(ticket, weight, at))
end
`

const save = `
inBatches('ZADD', expiry, ends)
if held == 0 then
  if top > #freed then call('DEL', free) end
  top = 0
elseif #freed > 0 then
  local pairs = {}
  for _, slot in ipairs(freed) do
    pairs[#pairs + 1] = slot
    pairs[#pairs + 1] = slot
  end
  inBatches('ZADD', free, pairs)
end
call('SET', state, string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f', capacity, held, token, top, turn, waiting, soonest))
`

/**
 * What one process has to say, in one command. ARGV, after what all scripts get, has a word for each ticket, with `|` between: `-ticket` to
 * take it away, `+ticket` to ask and wait, `?ticket` to ask without waiting, `=ticket` to renew it, in this order of
 * kinds. Answers the capacity, how long no ticket ends, and for each word but those that take away `full`, `gone`, `waits`
 * or what it holds.
 */
export const exchangeScript: Script = {
  lua: `${prelude}
${sweep}
local drops, asks, renews, answers = {}, {}, {}, { int(capacity), '0' }
for kind, ticket in string.gmatch(ARGV[2], '([-+?=])([^|]+)') do
  if kind == '=' then
    renews[#renews + 1] = ticket
  elseif kind ~= '-' then
    local ask = { ticket, tonumber(match(ticket, '%d+$')), kind == '+' }
    asks[#asks + 1], wanted = ask, wanted + ask[2]
  else
    drops[#drops + 1] = ticket
  end
end
local there, missing = {}, {}
for at = 1, #drops, 1000 do
  local scores = call('ZMSCORE', expiry, unpack(drops, at, math.min(at + 999, #drops)))
  for i, score in ipairs(scores) do
    local known = score and there or missing
    known[#known + 1] = drops[at + i - 1]
  end
end
inBatches('ZREM', expiry, there)
for _, ticket in ipairs(there) do forget(ticket) end
for _, ticket in ipairs(missing) do
  local other = not match(ticket, ' .* ') and find(match(ticket, '^%S+'))
  if other and call('ZREM', expiry, other) == 1 then
    forget(other)
    changed = true
  end
end
changed = changed or #there > 0
if changed or #renews > 0 then ${serve} end
for _, ask in ipairs(asks) do
  local ticket, weight, answer = ask[1], ask[2], 'full'
  if waiting == 0 and held + weight <= capacity then
    answer = grant(ticket, weight, now + lease)
  elseif ask[3] then
    turn, waiting, answer = turn + 1, waiting + 1, 'waits'
    call('ZADD', queue, int(turn), ticket)
    expires(now + lease, ticket)
  end
  answers[#answers + 1] = answer
end
if #renews > 0 then
  -- What was just handed over is looked for.
  inBatches('ZADD', expiry, ends)
  ends = {}
end
for _, ticket in ipairs(renews) do
  if not call('ZSCORE', expiry, ticket) then ticket = find(match(ticket, '^%S+')) end
  if ticket then expires(now + lease, ticket) end
  answers[#answers + 1] = not ticket and 'gone' or match(ticket, '^%S+ %d+ (.*)$') or 'waits'
end
${save}
answers[2] = int(soonest - now)
return answers`
}

/** Changes how many permits there are. ARGV, after what all scripts get: the number. */
export const resizeScript: Script = {
  lua: `${prelude}
capacity = tonumber(ARGV[2])
${sweep}${serve}${save}return int(capacity)`
}

/** What all processes hold together. */
export const inspectScript: Script = {
  lua: `${prelude}
${sweep}${serve}${save}return { int(capacity), int(held), int(waiting), int(token) }`
}
