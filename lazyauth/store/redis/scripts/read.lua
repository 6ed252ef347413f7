-- ARGV: 2 id. Returns the row.
local r = get(ARGV[2])
return view(ARGV[2], r)
