-- ARGV: 2 key, 3 after, 4 limit. Returns as many of each other key, key by key.
local limit, all = tonumber(ARGV[4]), {}
for _, key in ipairs(redis.call('SMEMBERS', prefix .. 'keys')) do
	if key ~= ARGV[2] then
		for _, id in ipairs(list(prefix .. 'sealed:' .. key, ARGV[3], limit, function(r) return r.s == key end)) do table.insert(all, id) end
	end
end
return all
