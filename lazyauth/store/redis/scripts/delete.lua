-- Returns 1 if there was one.
local r, ended = get(id)
r = r or ended
if not r then return 0 end
redis.call('DEL', prefix .. 'row:' .. id)
index(id, r, nil)
tell()
return 1
