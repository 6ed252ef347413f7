package elicit

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ResponseKey is the key of the prompt in an InputRequiredResult, and of the
// host's answer in the retry (MCP 2026-07-28 basic/patterns/mrtr).
const ResponseKey = "authorization"

// A Prompt is what a person needs to know to authorize a service: RFC 8628
// §3.3 asks for the verification URI and the user code. It holds nothing that
// could be used in the person's stead: no device code and no token.
//
// The user code must not be logged: whoever reads it before it is used can
// bind their own account to the call. Formatting leaves it out, and so does
// JSON.
type Prompt struct {
	// Service is the name of the service, as the server's author gives it.
	Service string
	// URL is the verification URI. It holds no user code unless the author
	// asked for the complete form.
	URL string `json:"-"`
	// UserCode is the code to enter there.
	UserCode string `json:"-"`
	// Scopes is what the authorization is asked for.
	Scopes scopes.Set
	// Expires is when the code stops working.
	Expires time.Time
}

// Domain returns the host of the prompt's URL, which the person should
// recognise before they open it (MCP client/elicitation, "Safe URL handling").
func (p Prompt) Domain() string {
	u, err := url.Parse(p.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// String describes the prompt for logs, without the code.
func (p Prompt) String() string {
	return fmt.Sprintf("prompt for %s at %s", p.Service, p.Domain())
}

// GoString keeps the code out of %#v.
func (p Prompt) GoString() string { return p.String() }

// Params returns the parameters of the URL-mode elicitation that shows the
// prompt (MCP 2025-11-25 client/elicitation). An empty id leaves elicitationId
// out, as revision 2026-07-28 demands.
func (p Prompt) Params(id string) *mcp.ElicitParams {
	return &mcp.ElicitParams{
		Mode:          "url",
		Message:       p.message(),
		URL:           p.URL,
		ElicitationID: id,
	}
}

// InputRequired returns a result that says resultType "input_required" on the
// wire. The SDK says so for what tool handlers return, and for nothing that a
// middleware returns (go-sdk v1.8.0, issue 1225); this way round it can go when
// it does.
func InputRequired() *mcp.CallToolResult {
	result := new(mcp.CallToolResult)
	if err := result.UnmarshalJSON([]byte(`{"resultType":"input_required"}`)); err != nil {
		panic(err) // a constant
	}
	return result
}

// Text returns the prompt as the one line that a host without elicitation
// hands to its model: terse and neutral, since longer instructions in a tool
// result read like an attack on the model.
func (p Prompt) Text() string {
	return fmt.Sprintf("Sign-in to %s needed: open %s and enter the code %s (valid for %s), then call this tool again.",
		p.Service, p.URL, p.UserCode, p.left())
}

func (p Prompt) message() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sign in to %s at %s with the code %s.", p.Service, p.Domain(), p.UserCode)
	if !p.Scopes.IsEmpty() {
		fmt.Fprintf(&b, " It asks for: %s.", strings.ReplaceAll(p.Scopes.String(), " ", ", "))
	}
	fmt.Fprintf(&b, " The code is valid for %s. The call continues by itself once you have approved.", p.left())
	return b.String()
}

// left returns the time that the code still works, to the nearest minute.
func (p Prompt) left() string {
	switch left := time.Until(p.Expires); {
	case left < time.Minute:
		return fmt.Sprintf("%d seconds", max(0, int(left.Seconds())))
	case left < 90*time.Second:
		return "1 minute"
	default:
		return fmt.Sprintf("%d minutes", int(left.Round(time.Minute).Minutes()))
	}
}
