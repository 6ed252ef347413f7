-- ARGV: 3 fence, 4 generation, 5 person, 6 has content, 7 content, 8 sealed by, 9 due, 10 ends, 11 its
-- generation, 12 release, 13 keep. Returns 1 if it was written.
local r = get(id)
if not r or r.f ~= ARGV[3] or r.g ~= ARGV[4] then return 0 end
sweep(4)
local new = {p = r.p, g = r.g, f = r.f, o = r.o, u = r.u, d = after(ARGV[9], r.d), e = r.e, s = r.s}
if ARGV[12] == '1' or ARGV[13] == '1' then new.o, new.u = '', 0 end
if ARGV[13] == '0' then
	new.g, new.p, new.s, new.e = ARGV[11], ARGV[5], ARGV[8], after(ARGV[10], r.e)
	if ARGV[6] == '1' then
		redis.call('HSET', prefix .. 'row:' .. id, 'c', ARGV[7])
	else
		redis.call('HDEL', prefix .. 'row:' .. id, 'c')
	end
end
put(id, r, new)
tell()
return 1
