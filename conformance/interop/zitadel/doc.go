// Package zitadel tests lazyauth against the OpenID provider of github.com/zitadel/oidc,
// in this process and over loopback. It has no code to import.
//
// The provider is what its authors ship; what it stores in is their example of a storage,
// with the repairs that repaired in server_test.go states one by one. There are no pages:
// a person decides by what a page would call.
package zitadel
