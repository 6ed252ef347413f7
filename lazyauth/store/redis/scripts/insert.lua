-- ARGV: 3 person, 4 has content, 5 content, 6 sealed by, 7 due, 8 ends, 9 generation. Returns 1 if it was
-- inserted.
local r, ended = get(id)
if r then return 0 end
sweep(4)
local fence = now
if ended then
	redis.call('DEL', prefix .. 'row:' .. id)
	fence = math.max(tonumber(ended.f) + 1, now)
end
if ARGV[4] == '1' then redis.call('HSET', prefix .. 'row:' .. id, 'c', ARGV[5]) end
put(id, ended, {p = ARGV[3], g = ARGV[9], f = str(fence), o = '', u = 0, d = after(ARGV[7]), e = after(ARGV[8]), s = ARGV[6]})
tell()
return 1
