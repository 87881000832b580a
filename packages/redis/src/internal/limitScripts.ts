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

import * as Effect from "effect/Effect"
import type { Script } from "../RedisSession.ts"
import { prelude, readRequests } from "./limitPrelude.ts"
import type { Shape } from "./limits.ts"

/**
 * ARGV: how many requests, and unless all are of cost 1 and do not wait, for each its longest wait in microseconds and,
 * for each limit, the cost and the cost that is wanted if there is so much, all with a space between.
 *
 * Answers for each request, with `;` between, whether it was allowed, the wait, then for each limit what is left, the
 * wait for this limit alone, the time until all is free, what was taken, and a stamp by which it can be given back or `-`.
 */
export const takeScript = (shapes: ReadonlyArray<Shape>): Effect.Effect<Script> => {
  const [first] = shapes
  return first !== undefined && shapes.length === 1 && !first.isWindow
    ? Effect.succeed({ lua: gcraAlone(first) })
    : Effect.map(
        Effect.promise(() => import("./jointScript.ts")),
        ({ joint }) => ({ lua: joint(shapes) })
      )
}

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
