-- Returns the time.
return str(now)
