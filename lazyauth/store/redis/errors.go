package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/fault"
)

var (
	// errSlow is the cause of a context that ends by Options.Timeout.
	errSlow = errors.New("the command took longer than Options.Timeout")
	// errForbidden is in the error of a command that the server does not let this user run, or has not.
	errForbidden = errors.New("forbidden")
)

func (d *DB) trouble(is error, text string, cause error) error {
	return &fault.Error{Where: d.where, Is: is, Text: text, Cause: cause}
}

func forbidden(err error) bool { return errors.Is(err, errForbidden) }

// An advice is what a kind of error of the server means here: the first word of its text.
type advice struct {
	is   error
	text string
}

var advices = map[string]advice{
	"READONLY":    {store.ErrUnwritable, "the server is a replica: let the URL name the primary"},
	"OOM":         {store.ErrUnwritable, "the server's memory is full: raise maxmemory"},
	"MISCONF":     {store.ErrUnwritable, "the server cannot write to its disk, and takes no writes: look into its log"},
	"NOREPLICAS":  {store.ErrUnwritable, "too few replicas follow the server (min-replicas-to-write)"},
	"LOADING":     {store.ErrNoAnswer, "the server has started, and reads its data"},
	"BUSY":        {store.ErrNoAnswer, "a script runs there that does not end"},
	"MASTERDOWN":  {store.ErrNoAnswer, "the server is a replica whose primary is gone"},
	"CLUSTERDOWN": {store.ErrNoAnswer, "the cluster has no node for these keys"},
	"TRYAGAIN":    {store.ErrNoAnswer, "the cluster is moving these keys"},
	"NOAUTH":      {store.ErrUnavailable, "the server wants a password: put it into the URL"},
	"WRONGPASS":   {store.ErrUnavailable, "the server refuses user or password: look at the URL"},
	"NOPERM":      {store.ErrUnavailable, "the user may not do that: go doc github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis has what it needs"},
	"NOPROTO":     {store.ErrUnavailable, "the server does not speak this version of the protocol: add protocol=2 to the URL"},
	"WRONGTYPE":   {store.ErrUnavailable, "other programs use these keys: set Options.Name"},
	"DENIED":      {store.ErrUnavailable, "the server is in protected mode: give it a password"},
	"EXECABORT":   {store.ErrNoAnswer, "the command was not carried out"},
	"UNBLOCKED":   {store.ErrNoAnswer, "the server has become a replica meanwhile"},
	"NOGOODSLAVE": {store.ErrNoAnswer, "the sentinel knows no server to turn to"},
	"INPROG":      {store.ErrNoAnswer, "a failover is going on"},
	// Those that the client gives without their first word, which is ERR:
	"max":       {store.ErrNoAnswer, "the server has no connection left: raise maxclients"},
	"AUTH":      {store.ErrUnavailable, "the server has no such user or password: look at the URL"},
	"DB":        {store.ErrUnavailable, "the server has no database of that number: look at the URL"},
	"unknown":   {store.ErrUnavailable, "the server lacks a command: it has to be 7.0 or later, without renamed commands"},
	"operation": {store.ErrUnavailable, "the server does not let this user in"},
}

// failed translates an error of the client, of which nothing is repeated that may have a part of a row.
func (d *DB) failed(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if server, ok := valkey.IsValkeyErr(err); ok {
		return d.refused(server.Error())
	}
	if ctx.Err() != nil {
		return d.trouble(store.ErrNoAnswer, "the server did not answer in time", context.Cause(ctx))
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return d.trouble(store.ErrUnavailable, "the server's certificate is not that of this name, or by an authority that is not trusted here: set Options.TLS, or name its authority by SSL_CERT_FILE", nil)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && isDial(err) {
		return d.trouble(store.ErrNoAnswer, "there is no connection to it ("+fault.Shown(op.Err.Error())+"): does it run, and may this machine reach it?", nil)
	}
	switch {
	case errors.Is(err, valkey.ErrClosing):
		return d.trouble(store.ErrNoAnswer, "it is closed, or cannot be reached", nil)
	case d.tls:
		return d.trouble(store.ErrNoAnswer, "the connection was lost, or the server has no TLS on this port", nil)
	}
	return d.trouble(store.ErrNoAnswer, "the connection was lost, or the server speaks TLS on this port", nil)
}

// isDial reports whether there was no connection at all.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// refused is the error for what a server has answered.
func (d *DB) refused(text string) error {
	word, _, _ := strings.Cut(strings.TrimPrefix(text, "ERR "), " ")
	a, ok := advices[word]
	if !ok {
		return d.trouble(nil, "the server refuses the command ("+fault.Shown(text)+")", nil)
	}
	refusal := &fault.Error{Where: d.where, Is: a.is, Text: a.text + " (" + fault.Shown(word) + ")"}
	if word == "NOPERM" || word == "unknown" {
		refusal.Mark = errForbidden
	}
	return refusal
}
