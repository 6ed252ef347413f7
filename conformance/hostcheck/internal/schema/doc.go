// Package schema compares messages with the JSON schema of the revision that they
// are in. The schemas are the published ones; mcp/README.md says from where.
package schema
