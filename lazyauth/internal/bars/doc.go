// Package bars keeps what is known of persons beside their grants: who may have none, which
// accounts they have, and whose grants were ended a moment ago. It knows neither OAuth nor MCP.
//
// The truth is one record a person, under a hash of who it is. A journal beside it says whose
// record to look at again: processes that share a store read it before they begin something,
// before they finish it, and from time to time.
package bars
