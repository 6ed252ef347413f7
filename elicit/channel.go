package elicit

// A Channel is a way to bring a prompt to the person behind a request.
type Channel uint8

// The channels, the worst first.
const (
	// Text is the error text of the tool call itself, for hosts that declare
	// nothing better: the model reads it and passes it on.
	Text Channel = iota
	// Progress is the message of the request's progress notifications, which
	// some hosts show to their person and not to the model.
	Progress
	// Form is an elicitation in form mode, without fields and without a link:
	// the person types the address. It is not for prompts without a code.
	Form
	// URL is an elicitation in URL mode.
	URL
)

// String names the channel for logs.
func (c Channel) String() string {
	switch c {
	case URL:
		return "url"
	case Form:
		return "form"
	case Progress:
		return "progress"
	default:
		return "text"
	}
}
