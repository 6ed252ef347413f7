-- Lists ids of a set in their order, after one, of rows that are there: what has ended, and was not yet taken
-- out, is passed over. Behind common.lua.
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
