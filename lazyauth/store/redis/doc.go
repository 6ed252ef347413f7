// Package redis keeps the rows of a fleet in Redis or Valkey: it is a [store.Shared].
//
//	db, err := redis.Open(ctx, os.Getenv("REDIS_URL"), nil)
//
// The URL says where: rediss://user:password@redis.example.com:6379/0, with valkeys, valkey and redis for the
// scheme as well. The two that end in s are TLS, and the server has to prove who it is; redis:// and
// valkey:// are plain text, and nothing but the loopback or a network of your own is the place for
// them. An authority of your own is given by [Options.TLS], or to a program without that, such as cmd/rotate, by
// SSL_CERT_FILE (crypto/x509; not on macOS and Windows). It takes a server from version 7.0 on, and is tested with Redis 7.0; Valkey speaks the same protocol.
//
// # Settings of the server
//
// maxmemory-policy must be noeviction, or [Open] refuses the server: any other may remove the mark that a
// handler was started, or that a grant was ended. What may be lost is decided by appendonly and
// appendfsync, and [DB.Losses] tells: with "always", on one node, nothing is; with "everysec", which is the
// default, or when a replica takes over, the last second may be, which costs a prompt, a second use of a refresh token or a
// handler that runs twice; without appendonly everything may be. See docs/scale.md.
//
// # A cluster
//
// All keys have one hash tag, {lazyauth}, so that each method is one script on one node, and atomic. In a
// cluster all rows of a fleet are therefore on one node: that works, and adding nodes makes nothing faster. Fleets with
// an [Options.Name] of their own may lie on different ones. Scripts touch keys that they do not name beforehand, all with
// that hash tag, which Redis and Valkey allow.
//
// # What the user of the server needs
//
//	ACL SETUSER lazyauth on >… ~{lazyauth}:* &{lazyauth}:* +@read +@write +@scripting +@pubsub +@connection +time +info +cluster|slots +config|get
package redis
