// Package wire is a raw MCP server: it speaks streamable HTTP, and stdio through a
// stub, in 2025-11-25 and 2026-07-28; hears every byte that a host says, can say
// what no library would, and keeps all of it in a record.
//
// [Endpoints] listen, on loopback or in memory, and serve one [Conversation] at a
// time. Its [Handler] has the server's part in it; it answers on a [Channel].
// What a message means is not known here.
package wire
