package lazyauth

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// SignInPrompt is the name of the prompt that [AddSignInPrompt] registers.
const SignInPrompt = "sign-in"

// AddSignInPrompt registers a prompt (MCP server/prompts) by which the person, and
// not the model, says that they want to be asked after all: hosts offer prompts to
// people, as a slash command or a menu. It does what [Interceptor.AskAgain] does, and
// has the model call the tool again. Errors of declined calls then mention it.
//
// Options.Principal, if set, is called for it with a request that names no tool.
func AddSignInPrompt(server *mcp.Server, auth *Interceptor) {
	auth.signIn.Store(true)
	server.AddPrompt(&mcp.Prompt{
		Name:        SignInPrompt,
		Title:       "Sign in to " + auth.service.Name,
		Description: fmt.Sprintf("Ask me to sign in to %s again, although I declined a moment ago.", auth.service.Name),
	}, func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		call := &mcp.CallToolRequest{Session: req.Session, Extra: req.Extra, Params: &mcp.CallToolParamsRaw{Meta: req.Params.Meta}}
		o, err := auth.owner(ctx, call)
		if err != nil {
			return nil, err
		}
		o.askAgain()
		return &mcp.GetPromptResult{
			Messages: []*mcp.PromptMessage{{
				Role:    "user",
				Content: &mcp.TextContent{Text: fmt.Sprintf("I want to sign in to %s now. Call the tool again that needed it.", auth.service.Name)},
			}},
		}, nil
	})
}

// AskAgain forgets that who declined, so that the next call prompts them although the
// minute is not over. It is for programs in which the person says so, and not the
// model, which could nag. See [AddSignInPrompt].
func (i *Interceptor) AskAgain(who Principal) { i.ownerOf(who).askAgain() }

func (o *owner) askAgain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.declined)
}
