// The decisions of RedisRateLimiter and RedisQuota, as Redis takes them.
//
// One script decides on any number of limits of one key together: it looks at
// all, and takes from all or from none; and on any number of requests, one after
// the other, so that those who ask at once share a round trip. A request that
// may wait is given its time at once: what it takes is taken from then, so that
// nobody has to ask again, and those who wait go in the order in which they asked.
//
// gcra    string  the theoretical arrival time (TAT), in microseconds since 2025
//                 (nearer than 1970: a double then tells 1/256 of a microsecond)
// window  zset    "time:cost:n" by time for what was taken within the interval,
//                 and "taken", whose score is minus their sum: it sorts before all
//                 times, and is there without counting
//
// Cost in Redis: gcra O(1); window O(log n), and for a request that must wait O(k)
// for the k entries that have to leave before it. The limits themselves stand in
// the script, so that the usual request sends a number and is answered a line.

import type { Script } from "../RedisSession.ts"
import type { Shape } from "./limits.ts"

const prelude = `
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.3f', n) end
local time = call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])
`

const literal = ({ burst, intervalMicros, isWindow, limit }: Shape): string =>
  `{ window = ${isWindow}, interval = ${intervalMicros}, burst = ${burst}, emission = ${intervalMicros / limit} }`

/**
 * ARGV: how many requests, and unless all are of cost 1 and do not wait, for each its longest wait in microseconds and,
 * for each limit, the cost and the cost that is wanted if there is so much, all with a space between.
 *
 * Answers for each request, with `;` between, whether it was allowed, the wait, then for each limit what is left, the
 * wait for this limit alone, the time until all is free, what was taken, and a stamp by which it can be given back or `-`.
 */
export const takeScript = (shapes: ReadonlyArray<Shape>): Script => {
  const [first] = shapes
  return { lua: first !== undefined && shapes.length === 1 && !first.isWindow ? gcraAlone(first) : general(shapes) }
}

const readRequests = `
local asked = {}
if ARGV[2] then for n in string.gmatch(ARGV[2], '%S+') do asked[#asked + 1] = tonumber(n) end end
`

// What nearly all ask, without what the general case needs: half the time in Redis.
const gcraAlone = ({ burst, intervalMicros, limit }: Shape): string => `${prelude}
local tat = tonumber(call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local burst, emission = ${burst}, ${intervalMicros / limit}
${readRequests}
local answers, changed = {}, false
for request = 1, tonumber(ARGV[1]) do
  local maxWait, cost, want = asked[3 * request - 2] or 0, asked[3 * request - 1] or 1, asked[3 * request] or 1
  if want > cost then cost = math.max(cost, math.min(want, math.floor(burst - (tat - now) / emission + 1e-6))) end
  local due, stamp, allowed = tat + (cost - burst) * emission - now, '-', '0 '
  if due <= 0.001 then due = 0 end
  if due <= maxWait then
    tat, changed, allowed = tat + cost * emission, true, '1 '
    if due > 0 then stamp = exact(tat) end
  end
  local wait = math.ceil(due)
  local left = math.max(0, math.floor(burst - (tat - now) / emission + 1e-6))
  answers[request] = allowed .. wait .. ' ' .. left .. ' ' .. wait .. ' ' .. math.ceil(tat - now) .. ' ' .. cost .. ' ' .. stamp
end
if changed then
  call('SET', KEYS[1], exact(tat), 'PX', int(math.max(1, math.ceil((tat - now) / 1000))))
end
return table.concat(answers, ';')`

const general = (shapes: ReadonlyArray<Shape>): string => `${prelude}
local limits = { ${shapes.map(literal).join(", ")} }
${readRequests}

for i, limit in ipairs(limits) do
  local key = KEYS[i]
  if limit.window then
    local left = exact(now - limit.interval)
    local old = call('ZRANGEBYSCORE', key, 1, left)
    limit.taken = -tonumber(call('ZSCORE', key, 'taken') or 0)
    if #old > 0 then
      call('ZREMRANGEBYSCORE', key, 1, left)
      for _, entry in ipairs(old) do limit.taken = limit.taken - tonumber(string.match(entry, ':([^:]*):')) end
      if call('ZCARD', key) <= 1 then limit.taken = 0 end
      limit.changed = true
    end
    local last = tonumber(call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or 0)
    limit.last = last > 0 and last or now - limit.interval
    limit.n = 0
  else
    limit.tat = tonumber(call('GET', key) or now)
    if limit.tat < now then limit.tat = now end
  end
end

-- Fractions are rounded: within a thousandth of a microsecond, or a millionth of a cost, it is time.
local function plan(limit, key, cost, want)
  local free
  if limit.window then free = limit.burst - limit.taken
  else free = limit.burst - (limit.tat - now) / limit.emission end
  if want > cost then cost = math.max(cost, math.min(want, math.floor(free + 1e-6))) end
  local due = 0
  if cost > 0 and not limit.window then
    due = limit.tat + (cost - limit.burst) * limit.emission - now
    if due <= 0.001 then due = 0 end
  elseif cost > 0 then
    local lacking, at = cost - free - 1e-6, 1
    while lacking > 0 do
      local entry = call('ZRANGE', key, at, at, 'WITHSCORES')
      due = tonumber(entry[2]) + limit.interval - now
      lacking = lacking - tonumber(string.match(entry[1], ':([^:]*):'))
      at = at + 1
    end
  end
  return cost, due
end

local function take(limit, key, cost, from)
  limit.changed = true
  if not limit.window then
    limit.tat = limit.tat + cost * limit.emission
    return from > now and exact(limit.tat) or '-'
  end
  local stamp
  repeat
    stamp = exact(from) .. ':' .. cost .. ':' .. limit.n
    limit.n = limit.n + 1
  until call('ZADD', key, 'NX', exact(from), stamp) == 1
  limit.taken = limit.taken + cost
  if from > limit.last then limit.last = from end
  return stamp
end

local answers = {}
local size = 1 + 2 * #limits
for request = 1, tonumber(ARGV[1]) do
  local base = (request - 1) * size + 1
  local maxWait, wait, costs, dues = asked[base] or 0, 0, {}, {}
  for i, limit in ipairs(limits) do
    costs[i], dues[i] = plan(limit, KEYS[i], asked[base + 2 * i - 1] or 1, asked[base + 2 * i] or 1)
    if dues[i] > wait then wait = dues[i] end
  end
  local allowed = wait <= maxWait
  local answer = (allowed and '1 ' or '0 ') .. math.ceil(wait)
  for i, limit in ipairs(limits) do
    local stamp = '-'
    if allowed and costs[i] > 0 then stamp = take(limit, KEYS[i], costs[i], now + wait) end
    local left, reset
    if limit.window then left, reset = limit.burst - limit.taken, limit.last + limit.interval - now
    else left, reset = limit.burst - (limit.tat - now) / limit.emission, limit.tat - now end
    answer = answer .. ' ' .. math.max(0, math.floor(left + 1e-6)) .. ' ' .. math.ceil(dues[i]) .. ' ' .. math.ceil(reset) .. ' ' .. costs[i] .. ' ' .. stamp
  end
  answers[request] = answer
end

for i, limit in ipairs(limits) do
  if limit.changed and limit.window then
    call('ZADD', KEYS[i], exact(-limit.taken), 'taken')
    call('PEXPIRE', KEYS[i], int(math.max(1, math.ceil((limit.last + limit.interval - now) / 1000))))
  elseif limit.changed then
    call('SET', KEYS[i], exact(limit.tat), 'PX', int(math.max(1, math.ceil((limit.tat - now) / 1000))))
  end
end
return table.concat(answers, ';')`

/**
 * Gives back what was reserved and not used. ARGV: for each key `g` or `w`, the microseconds of a cost of 1, the cost and
 * the stamp. A TAT is set back only while nobody has taken after it: those who did were given their times already.
 */
export const refundScript: Script = {
  lua: `${prelude}
for i, key in ipairs(KEYS) do
  local kind, emission, cost, stamp = ARGV[4 * i - 3], tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), ARGV[4 * i]
  if kind == 'w' then
    if stamp ~= '-' and call('ZREM', key, stamp) == 1 then call('ZINCRBY', key, cost, 'taken') end
  elseif call('GET', key) == stamp then
    local tat = tonumber(stamp) - cost * emission
    if tat > now then call('SET', key, exact(tat), 'PX', int(math.ceil((tat - now) / 1000)))
    else call('DEL', key) end
  end
end
return 1`
}
