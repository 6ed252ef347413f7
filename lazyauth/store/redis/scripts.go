package redis

import (
	_ "embed"

	"github.com/valkey-io/valkey-go"
)

// The scripts keep these keys, each behind the prefix with the hash tag; an id is a row's kind, a colon, and its key in hex:
//
//	row:ID         a hash: p person, g generation, f fence, o owner, u until, d due, e ends, s sealed by,
//	               and c content, which is not there if there is none; it expires when the row ends
//	person:PERSON  a sorted set of the ids, all with the same score and so in their order
//	sealed:KEY     likewise, of what is sealed by a key; keys is the set of those keys
//	ends           a sorted set of "ID:PERSON:KEY", by when rows end: what is to be taken out of the others
//	changed        the channel for hints
//
// Times are microseconds of the server's clock since 1970, which a script's numbers hold until the
// year 2255. A script is one step for everybody, also in the append-only file.
var (
	//go:embed scripts/common.lua
	common string
	//go:embed scripts/changing.lua
	changing string
	//go:embed scripts/listing.lua
	listing string

	//go:embed scripts/now.lua
	luaNow string
	//go:embed scripts/read.lua
	luaRead string
	//go:embed scripts/begin.lua
	luaBegin string
	//go:embed scripts/write.lua
	luaWrite string
	//go:embed scripts/insert.lua
	luaInsert string
	//go:embed scripts/delete.lua
	luaDelete string
	//go:embed scripts/ofperson.lua
	luaOfPerson string
	//go:embed scripts/notsealedby.lua
	luaNotSealedBy string
)

var (
	scriptNow         = valkey.NewLuaScriptReadOnly(common + luaNow)
	scriptRead        = valkey.NewLuaScriptReadOnly(common + luaRead)
	scriptOfPerson    = valkey.NewLuaScriptReadOnly(common + listing + luaOfPerson)
	scriptNotSealedBy = valkey.NewLuaScriptReadOnly(common + listing + luaNotSealedBy)

	scriptBegin  = valkey.NewLuaScript(common + changing + luaBegin)
	scriptWrite  = valkey.NewLuaScript(common + changing + luaWrite)
	scriptInsert = valkey.NewLuaScript(common + changing + luaInsert)
	scriptDelete = valkey.NewLuaScript(common + changing + luaDelete)
)
