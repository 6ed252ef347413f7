package redis

import "github.com/valkey-io/valkey-go"

// Keys, each behind the prefix with the hash tag; an id is a row's kind, a colon, and its key in hex:
//
//	row:ID         a hash: p person, g generation, f fence, o owner, u until, d due, e ends, s sealed by,
//	               and c content, which is not there if there is none; it expires when the row ends
//	due:KIND       a sorted set of the ids, by when they are due
//	person:PERSON  a sorted set of the ids, all with the same score and so in their order
//	sealed:KEY     likewise, of what is sealed by a key; keys is the set of those keys
//	ends           a sorted set of "ID:PERSON:KEY", by when rows end: what is to be taken out of the others
//	changed        the channel for hints
//
// Times are microseconds of the server's clock since 1970, which a script's numbers hold until the
// year 2255. A script is one step for everybody, also in the append-only file.

// common is in front of every script. ARGV[1] is the prefix, and KEYS[1] has the hash tag, for a cluster.
const common = `
local prefix = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function str(n) return string.format('%.0f', n) end
local function after(span, was) -- a time from now; zero if there is none
	local n = tonumber(span)
	if n < 0 then return was end
	if n > 0 then return now + n end
	return 0
end
local function get(id) -- a row, or nothing and the one that has ended
	local v = redis.call('HMGET', prefix .. 'row:' .. id, 'p', 'g', 'f', 'o', 'u', 'd', 'e', 's')
	if not v[3] then return nil, nil end
	local r = {p = v[1], g = v[2], f = v[3], o = v[4], u = tonumber(v[5]), d = tonumber(v[6]), e = tonumber(v[7]), s = v[8]}
	if r.e > 0 and r.e <= now then return nil, r end
	return r, nil
end
local function view(id, r) -- a row as it is returned
	if not r then return {} end
	return {r.p, r.g, r.f, r.o, str(r.u), str(r.d), str(r.e), r.s, redis.call('HGET', prefix .. 'row:' .. id, 'c')}
end
local function has(key, id, is)
	if is then redis.call('ZADD', key, 0, id) else redis.call('ZREM', key, id) end
end
local function sealed(key, id, is)
	has(prefix .. 'sealed:' .. key, id, is)
	if is then
		redis.call('SADD', prefix .. 'keys', key)
	elseif redis.call('EXISTS', prefix .. 'sealed:' .. key) == 0 then
		redis.call('SREM', prefix .. 'keys', key)
	end
end
`

// changing is in front of the scripts that change rows.
const changing = common + `
local none = {p = '', s = '', d = 0, e = 0}
local function index(id, old, new) -- either may be nil
	old, new = old or none, new or none
	local was, is = id .. ':' .. old.p .. ':' .. old.s, id .. ':' .. new.p .. ':' .. new.s
	if old.e > 0 and (was ~= is or new.e == 0) then redis.call('ZREM', prefix .. 'ends', was) end
	if new.e > 0 then redis.call('ZADD', prefix .. 'ends', str(new.e), is) end
	local due = prefix .. 'due:' .. string.match(id, '^%l+')
	if new.d > 0 then redis.call('ZADD', due, str(new.d), id) else redis.call('ZREM', due, id) end
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
		local r, old = get(id)
		if old then redis.call('DEL', prefix .. 'row:' .. id) end
		if not r then redis.call('ZREM', prefix .. 'due:' .. string.match(id, '^%l+'), id) end
		if person ~= '' and not (r and r.p == person) then has(prefix .. 'person:' .. person, id, false) end
		if key ~= '' and not (r and r.s == key) then sealed(key, id, false) end
	end
	return #ended
end
local id = ARGV[2]
local function tell() redis.call('PUBLISH', prefix .. 'changed', id) end
`

var (
	scriptNow = valkey.NewLuaScriptReadOnly(common + `return str(now)`)

	scriptRead = valkey.NewLuaScriptReadOnly(common + `local r = get(ARGV[2]) return view(ARGV[2], r)`)

	// ARGV: 3 owner, 4 lease, 5 due, 6 if due, 7 person, 8 ends.
	scriptBegin = valkey.NewLuaScript(changing + `
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
return {new.f, before}`)

	// ARGV: 3 fence, 4 generation, 5 person, 6 has content, 7 content, 8 sealed by, 9 due, 10 ends, 11 its generation, 12 release, 13 keep.
	scriptWrite = valkey.NewLuaScript(changing + `
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
return 1`)

	// ARGV: 3 person, 4 has content, 5 content, 6 sealed by, 7 due, 8 ends, 9 generation.
	scriptInsert = valkey.NewLuaScript(changing + `
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
return 1`)

	scriptDelete = valkey.NewLuaScript(changing + `
local r, ended = get(id)
r = r or ended
if not r then return 0 end
redis.call('DEL', prefix .. 'row:' .. id)
index(id, r, nil)
tell()
return 1`)

	// ARGV: 2 how many.
	scriptSweep = valkey.NewLuaScript(changing + `return sweep(tonumber(ARGV[2]))`)

	// ARGV: 2 kind, 3 limit, 4 how many are looked at. Returns the ids, the time until the next one, and
	// how many of those that were looked at have ended.
	scriptDue = valkey.NewLuaScriptReadOnly(common + `
local key, limit, left = prefix .. 'due:' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ids, ended, offset = {}, 0, 0
while left > 0 do
	local page = redis.call('ZRANGEBYSCORE', key, '-inf', str(now), 'LIMIT', offset, math.min(left, 100))
	for _, id in ipairs(page) do
		local r = get(id)
		if not r then
			ended = ended + 1
		elseif r.o == '' or r.u <= now then
			if #ids == limit then return {ids, '0', ended} end
			table.insert(ids, id)
		end
	end
	if #page < math.min(left, 100) then break end
	offset, left = offset + #page, left - #page
end
if left <= 0 then return {ids, '1000000', ended} end -- it is looked again in a second
local next, at = '-1', 0
for _ = 1, 10 do -- those under a lease are passed over, some of them
	local page = redis.call('ZRANGEBYSCORE', key, '(' .. str(now), '+inf', 'WITHSCORES', 'LIMIT', at, 100)
	for i = 1, #page, 2 do
		local r = get(page[i])
		if r and (r.o == '' or r.u <= now) then return {ids, str(tonumber(page[i + 1]) - now), ended} end
		next = str(tonumber(page[i + 1]) - now)
	end
	if #page < 200 then return {ids, '-1', ended} end
	at = at + 100
end
return {ids, next, ended}`)

	// ARGV: 2 person, 3 after, 4 limit.
	scriptOfPerson = valkey.NewLuaScriptReadOnly(common + listing + `
return list(prefix .. 'person:' .. ARGV[2], ARGV[3], tonumber(ARGV[4]), function(r) return r.p == ARGV[2] end)`)

	// ARGV: 2 key, 3 after, 4 limit. Returns as many of each other key, key by key.
	scriptNotSealedBy = valkey.NewLuaScriptReadOnly(common + listing + `
local limit, all = tonumber(ARGV[4]), {}
for _, key in ipairs(redis.call('SMEMBERS', prefix .. 'keys')) do
	if key ~= ARGV[2] then
		for _, id in ipairs(list(prefix .. 'sealed:' .. key, ARGV[3], limit, function(r) return r.s == key end)) do table.insert(all, id) end
	end
end
return all`)
)

// listing lists ids of a set in their order, after one, of rows that are there. What has ended and was not
// yet taken out is passed over.
const listing = `
local function list(key, after, limit, is)
	local ids = {}
	while limit > 0 do
		local min = '-'
		if after ~= '' then min = '(' .. after end
		local page = redis.call('ZRANGEBYLEX', key, min, '+', 'LIMIT', 0, limit)
		for _, id in ipairs(page) do
			local r = get(id)
			if r and is(r) then
				table.insert(ids, id)
				if #ids == limit then return ids end
			end
		end
		if #page < limit then return ids end
		after = page[#page]
	end
	return ids
end
`
