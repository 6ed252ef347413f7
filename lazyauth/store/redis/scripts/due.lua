-- ARGV: 2 kind, 3 limit, 4 how many are looked at. Returns the ids, the time until the next one, and how
-- many of those that were looked at have ended.
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
return {ids, next, ended}
