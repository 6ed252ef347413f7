package redirect

import "github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"

// mostEvents is how many events wait to be told. More are dropped: a browser that is sent here
// again and again has nothing new to say.
const mostEvents = 16

// tell has an event told by Wait, on its goroutine.
func (a *Authorization) tell(e authcode.Event) {
	select {
	case a.events <- e:
	default:
	}
}

// mostRefusedTold is how many refusals are told: anybody on this machine can have as many as
// they like.
const mostRefusedTold = 20

func (a *Authorization) tellRefused(why string) {
	a.mu.Lock()
	a.refusals++
	n := a.refusals
	a.mu.Unlock()
	if n <= mostRefusedTold {
		a.tell(authcode.Event{What: authcode.Refused, Detail: why})
	}
}
