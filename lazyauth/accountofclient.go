package lazyauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// errNoClient is of a call that does not say by which client it comes.
var errNoClient = errors.New("lazyauth: the bearer token does not say which client it was issued to: its verifier has to put \"client_id\" or \"azp\" into TokenInfo.Extra")

// AccountFromClient returns an Options.Account that keeps a person's grants apart by the client that their bearer token
// was issued to: "client_id" (RFC 9068 §2.2, RFC 7662 §2.2), or else "azp" (OpenID Connect Core 1.0 §2), as the token's
// verifier has put it into the SDK's TokenInfo.Extra. What the person granted while they used one application is of no
// use to any other that they have ever let in to this server. That is the issuer's word, where that of
// [AccountFromHost] is the host's own. The person signs in once for each client.
//
// Over HTTP a call whose token does not name its client is refused ([ReasonAnonymous]). The local user, who has no bearer
// token, has the account without a name. The account is called by the client's id; one that is no name of an account
// is called by a hash of it, which begins with "#".
func AccountFromClient() func(context.Context, *mcp.CallToolRequest) (string, error) {
	return clientAccount
}

func clientAccount(_ context.Context, req *mcp.CallToolRequest) (string, error) {
	if req.Extra == nil {
		return "", nil
	}
	if info := req.Extra.TokenInfo; info != nil {
		for _, claim := range []string{"client_id", "azp"} {
			if id, _ := info.Extra[claim].(string); id != "" {
				return accountOfClient(id), nil
			}
		}
	}
	return "", errNoClient
}

// accountOfClient returns another name for each client.
func accountOfClient(id string) string {
	if checkAccount(id) == nil && !strings.HasPrefix(id, "#") {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "#" + hex.EncodeToString(sum[:16])
}
