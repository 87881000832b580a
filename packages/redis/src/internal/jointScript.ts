// The decision on any number of limits together, of either kind: loaded by those
// who have more than one, or a window. Fractions are rounded: within a thousandth
// of a microsecond, or a millionth of a cost, it is time.

import { prelude, readRequests } from "./limitPrelude.ts"
import type { Shape } from "./limits.ts"

const literal = ({ burst, intervalMicros, isWindow, limit }: Shape): string =>
  `{ window = ${isWindow}, interval = ${intervalMicros}, burst = ${burst}, emission = ${intervalMicros / limit} }`

export const joint = (shapes: ReadonlyArray<Shape>): string => `${prelude}
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
