package asking

// ProgramOf is programOf.
var ProgramOf = programOf
