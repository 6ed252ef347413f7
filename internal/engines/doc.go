// Package engines starts databases on loopback, for tests and examples, and a link to them that can
// be cut. The programs have to be installed (postgresql, redis-server, pgbouncer from Debian).
// What it starts keeps its files in a folder that is given, listens on 127.0.0.1, and ends with Stop, or
// with the process that started it where the system can do that (Linux).
package engines
