-- ARGV: 2 person, 3 after, 4 limit.
return list(prefix .. 'person:' .. ARGV[2], ARGV[3], tonumber(ARGV[4]), function(r) return r.p == ARGV[2] end)
