// What the scripts of limits begin with.

export const prelude = `
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.3f', n) end
local time = call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])
`

export const readRequests = `
local asked = {}
if ARGV[2] then for n in string.gmatch(ARGV[2], '%S+') do asked[#asked + 1] = tonumber(n) end end
`
