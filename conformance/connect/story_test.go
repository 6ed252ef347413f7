package connect_test

import (
	"testing"
)

// The person's host calls, their browser passes the page, and that very call goes on.
func TestHeldCallGoesOn(t *testing.T) {
	eras(t, func(t *testing.T, era string) {
		o := newOffice(t, setup{})
		call := o.asks(era, "ada")
		ada := o.visitor("ada")
		ada.opens(call.link)
		ada.shows(200, "consent", "Connect Notes for ada?", "It says it is Sample Agent", "You are signed in as ada")
		call.waits()
		ada.presses(goesOn)
		ada.signsIn("ada")
		ada.shows(200, "signed-in", "Notes is connected")
		call.succeeds("ada")
	})
}
