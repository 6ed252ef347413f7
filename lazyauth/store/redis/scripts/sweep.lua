-- ARGV: 2 how many. Returns how many had ended.
return sweep(tonumber(ARGV[2]))
