-- In front of the scripts that change rows, behind common.lua. ARGV[2] is the id of the row.
local none = {p = '', s = '', e = 0}
local function index(id, old, new) -- either may be nil
	old, new = old or none, new or none
	local was, is = id .. ':' .. old.p .. ':' .. old.s, id .. ':' .. new.p .. ':' .. new.s
	if old.e > 0 and (was ~= is or new.e == 0) then redis.call('ZREM', prefix .. 'ends', was) end
	if new.e > 0 then redis.call('ZADD', prefix .. 'ends', str(new.e), is) end
	if old.p ~= new.p then
		if old.p ~= '' then has(prefix .. 'person:' .. old.p, id, false) end
		if new.p ~= '' then has(prefix .. 'person:' .. new.p, id, true) end
	end
	if old.s ~= new.s then
		if old.s ~= '' then sealed(old.s, id, false) end
		if new.s ~= '' then sealed(new.s, id, true) end
	end
end
local function put(id, old, new)
	local key = prefix .. 'row:' .. id
	redis.call('HSET', key, 'p', new.p, 'g', new.g, 'f', new.f, 'o', new.o, 'u', str(new.u), 'd', str(new.d), 'e', str(new.e), 's', new.s)
	if new.e > 0 then redis.call('PEXPIREAT', key, str(math.ceil(new.e / 1000))) else redis.call('PERSIST', key) end
	index(id, old, new)
end
local function sweep(limit) -- what has ended is taken out of the sets; a row may be there anew
	local ended = redis.call('ZRANGEBYSCORE', prefix .. 'ends', '-inf', str(now), 'LIMIT', 0, limit)
	for _, member in ipairs(ended) do
		redis.call('ZREM', prefix .. 'ends', member)
		local id, person, key = string.match(member, '^(%l+:%x+):(%x*):(.*)$')
		if not id then error('a member of ' .. prefix .. 'ends is of another program: it was removed') end
		local r, old = get(id)
		if old then redis.call('DEL', prefix .. 'row:' .. id) end
		if person ~= '' and not (r and r.p == person) then has(prefix .. 'person:' .. person, id, false) end
		if key ~= '' and not (r and r.s == key) then sealed(key, id, false) end
	end
	return #ended
end
local id = ARGV[2]
local function tell() redis.call('PUBLISH', prefix .. 'changed', id) end
