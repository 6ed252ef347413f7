-- In front of every script. ARGV[1] is the prefix of all keys; KEYS[1] begins with it, too, for a cluster.
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
