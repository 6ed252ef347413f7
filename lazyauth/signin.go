package lazyauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AddSignInPrompt registers a prompt (MCP server/prompts) by which the person, and
// not the model, says that they want to be asked after all: hosts offer prompts to
// people, as a slash command or a menu. It does what [Interceptor.ForgetDecline] does, and
// has the model call the tool again. Its name is "sign-in-" and the service's, of which
// ASCII letters in lower case and digits are kept, with a hyphen for what comes between
// them. Where that loses more than spaces, eight characters of a hash follow, so that each
// service of a server has a prompt of its own, in whatever script its name is; services
// whose names differ in case or spaces alone share one. Errors of declined calls then
// mention it.
//
// Options.Principal, if set, is called for it with a request that names no tool.
func AddSignInPrompt(server *mcp.Server, auth *Interceptor) {
	name := signInPrompt(auth.service.Name)
	auth.signIn.Store(&name)
	server.AddPrompt(&mcp.Prompt{
		Name:        name,
		Title:       "Sign in to " + auth.service.Name,
		Description: fmt.Sprintf("Ask me to sign in to %s again, although I declined a moment ago, or it came to nothing.", auth.service.Name),
	}, func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		call := &mcp.CallToolRequest{Session: req.Session, Extra: req.Extra, Params: &mcp.CallToolParamsRaw{Meta: req.Params.Meta}}
		who, err := auth.principal(ctx, call)
		if err == nil {
			err = auth.mayAsk(who)
		}
		if err != nil {
			return nil, err
		}
		auth.people.ForgetDeclines(grants.Principal(who))
		return &mcp.GetPromptResult{
			Messages: []*mcp.PromptMessage{{
				Role:    "user",
				Content: &mcp.TextContent{Text: fmt.Sprintf("I want to sign in to %s now. Call the tool again that needed it.", auth.service.Name)},
			}},
		}, nil
	})
}

// signInPrompt is the name of the prompt: each service on a server has its own, and it is
// the same in every process.
func signInPrompt(service string) string {
	lost := false
	words := strings.FieldsFunc(service, func(r rune) bool {
		kept := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		lost = lost || !kept && r != ' '
		return !kept
	})
	if lost {
		sum := sha256.Sum256([]byte(service))
		words = append(words, hex.EncodeToString(sum[:4]))
	}
	return "sign-in-" + strings.ToLower(strings.Join(words, "-"))
}

// ForgetDecline forgets that who declined, so that the next call prompts them although the
// minute is not over. It is for programs in which the person says so, and not the
// model, which could nag. See [AddSignInPrompt].
func (i *Interceptor) ForgetDecline(who Principal) { i.people.ForgetDecline(grants.Principal(who)) }
