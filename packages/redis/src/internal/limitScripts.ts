// The decisions of RedisRateLimiter and RedisQuota, as Redis takes them.
//
// One script decides on any number of limits of one key together: it looks at
// all, and takes from all or from none. A request that may wait is given its
// time at once: what it takes is taken from then, so that nobody has to ask
// again, and those who wait go in the order in which they asked.
//
// gcra    string  the theoretical arrival time (TAT), in microseconds since 2025
//                 (nearer than 1970: a double then tells 1/256 of a microsecond)
// window  zset    "time:cost:n" by time for what was taken within the interval,
//                 and "taken", whose score is minus their sum: it sorts before all
//                 times, and is there without counting
//
// Cost in Redis: gcra O(1); window O(log n), and for a request that must wait O(k)
// for the k entries that have to leave before it.

import type { Script } from "../RedisSession.ts"

const prelude = `
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.3f', n) end
local time = call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])
`

/**
 * ARGV: the longest wait in microseconds, then for each key `g` or `w`, the limit, the interval in microseconds, the
 * burst, the cost, and the cost that is wanted if there is so much. Answers whether it was allowed, the wait, then for
 * each key what is left, the wait for this limit alone, the time until all is free, what was taken and a stamp by which it can be given back.
 */
export const takeScript: Script = {
  lua: `${prelude}
local maxWait = tonumber(ARGV[1])
local wait, plans = 0, {}

local function gcra(key, limit, interval, burst, cost, want)
  local emission = interval / limit
  local tat = tonumber(call('GET', key) or now)
  if tat < now then tat = now end
  local free = burst - (tat - now) / emission
  if want > cost then cost = math.max(cost, math.min(want, math.floor(free + 1e-6))) end
  -- Within a thousandth of a microsecond it is time: fractions are rounded.
  local due = tat + (cost - burst) * emission - now
  return {
    gcra = true, key = key, cost = cost, emission = emission, burst = burst, tat = tat,
    due = cost > 0 and due > 0.001 and due or 0
  }
end

local function window(key, limit, interval, burst, cost, want)
  local old = call('ZRANGEBYSCORE', key, 1, exact(now - interval))
  local taken = -tonumber(call('ZSCORE', key, 'taken') or 0)
  if #old > 0 then
    call('ZREMRANGEBYSCORE', key, 1, exact(now - interval))
    for _, entry in ipairs(old) do taken = taken - tonumber(string.match(entry, ':([^:]*):')) end
    if call('ZCARD', key) <= 1 then taken = 0 end
    call('ZADD', key, exact(-taken), 'taken')
  end
  local free = burst - taken
  if want > cost then cost = math.max(cost, math.min(want, math.floor(free + 1e-6))) end
  local due, lacking, at = 0, taken + cost - burst - 1e-6, 1
  while cost > 0 and lacking > 0 do
    local entry = call('ZRANGE', key, at, at, 'WITHSCORES')
    due = tonumber(entry[2]) + interval - now
    lacking = lacking - tonumber(string.match(entry[1], ':([^:]*):'))
    at = at + 1
  end
  return { key = key, cost = cost, burst = burst, interval = interval, taken = taken, due = due }
end

for i, key in ipairs(KEYS) do
  local at = 6 * i - 4
  local decide = ARGV[at] == 'g' and gcra or window
  plans[i] = decide(key, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  if plans[i].due > wait then wait = plans[i].due end
end

local allowed = wait <= maxWait
local answer = { allowed and 1 or 0, math.ceil(wait) }
for _, plan in ipairs(plans) do
  local left, reset, stamp
  if plan.gcra then
    if allowed and plan.cost > 0 then
      plan.tat = plan.tat + plan.cost * plan.emission
      stamp = exact(plan.tat)
      call('SET', plan.key, stamp, 'PX', int(math.max(1, math.ceil((plan.tat - now) / 1000))))
    end
    left = plan.burst - (plan.tat - now) / plan.emission
    reset = plan.tat - now
  else
    if allowed and plan.cost > 0 then
      local n = 0
      repeat
        stamp = exact(now + wait) .. ':' .. string.format('%.17g', plan.cost) .. ':' .. n
        n = n + 1
      until call('ZADD', plan.key, 'NX', exact(now + wait), stamp) == 1
      plan.taken = plan.taken + plan.cost
      call('ZADD', plan.key, exact(-plan.taken), 'taken')
    end
    left = plan.burst - plan.taken
    local last = call('ZRANGE', plan.key, -1, -1, 'WITHSCORES')[2]
    reset = last and tonumber(last) > 0 and tonumber(last) + plan.interval - now or 0
    if stamp then call('PEXPIRE', plan.key, int(math.ceil(reset / 1000))) end
  end
  answer[#answer + 1] = math.max(0, math.floor(left + 1e-6))
  answer[#answer + 1] = math.ceil(plan.due)
  answer[#answer + 1] = math.ceil(reset)
  answer[#answer + 1] = string.format('%.17g', plan.cost)
  answer[#answer + 1] = stamp or ''
end
return answer`
}

/**
 * Gives back what was reserved and not used. ARGV: for each key `g` or `w`, the limit, the interval, the cost and the stamp. A TAT is
 * set back only while nobody has taken after it: those who did were given their times already.
 */
export const refundScript: Script = {
  lua: `${prelude}
for i, key in ipairs(KEYS) do
  local at = 5 * i - 4
  local limit, interval, cost, stamp = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4]
  if stamp ~= '' then
    if ARGV[at] == 'w' then
      if call('ZREM', key, stamp) == 1 then call('ZINCRBY', key, cost, 'taken') end
    elseif call('GET', key) == stamp then
      local tat = tonumber(stamp) - cost * interval / limit
      if tat > now then call('SET', key, exact(tat), 'PX', int(math.ceil((tat - now) / 1000)))
      else call('DEL', key) end
    end
  end
end
return 1`
}
