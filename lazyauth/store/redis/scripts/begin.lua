-- ARGV: 3 owner, 4 lease, 5 due, 6 if due, 7 person, 8 ends. Returns the fence of what was begun, or 0, and
-- the row as it was before.
local r, ended = get(id)
local before = view(id, r)
if r and r.o ~= '' and r.o ~= ARGV[3] and r.u > now then return {'0', before} end
if ARGV[6] == '1' and not (r and r.d > 0 and r.d <= now) then return {'0', before} end
sweep(4)
local new
if r then
	new = {p = r.p, g = r.g, f = r.f, d = r.d, e = r.e, s = r.s}
else
	if ended then redis.call('DEL', prefix .. 'row:' .. id) end
	new = {p = ARGV[7], g = '0', f = ended and ended.f or '0', d = 0, e = after(ARGV[8]), s = ''}
end
new.f = str(math.max(tonumber(new.f) + 1, now))
new.o, new.u = ARGV[3], after(ARGV[4])
if ARGV[5] ~= '0' then new.d = after(ARGV[5]) end
put(id, r or ended, new)
return {new.f, before}
