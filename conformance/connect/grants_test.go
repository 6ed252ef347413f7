package connect_test

import (
	"strings"
	"testing"
)

const (
	again   = "[name=answer][value=again]"
	ends    = "[name=answer][value=end]"
	oneLink = ".cards a"
)

// A person sees what they have connected, signs in again, and ends it; the next call asks. Each page is read out as it
// should be, at 360 px, too, and in the dark.
func TestMyGrants(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.connects(call.link, "ada")
	call.succeeds("ada")

	list := o.base + "/connect/grants"
	ada.opens(list)
	ada.shows(200, "granted", "What you have connected", "Notes")
	ada.reads("granted")
	ada.presses(oneLink)
	ada.shows(200, "details", "programs that say they are", "Sample Agent", "is not recorded")
	ada.reads("details")
	one := ada.sees().URL

	ada.presses(again) // a form that answers with a redirect, which form-action must let pass
	ada.shows(200, "consent", "Connect Notes for ada?", "What you have allowed before")
	ada.presses(goesOn)
	ada.shows(200, "consent", "will act for this account") // the authorization server knows the browser by now
	ada.presses(approves)
	ada.shows(200, "signed-in")

	ada.opens(one)
	ada.presses("a[href$='/end']")
	ada.shows(200, "ending", "End Notes?", "Keep it")
	ada.reads("ending")
	ada.opens(list + "/all/end")
	ada.shows(200, "ending-all", "End all that ada has connected?")
	ada.reads("ending-all")
	eve := o.visitor("eve")
	eve.opens(one)
	eve.shows(404, "no-grant", "eve has not connected this")
	eve.reads("no-grant")

	ada.opens(one + "/end")
	ada.presses(ends)
	ada.shows(200, "over", "It has ended")
	ada.reads("over")
	ada.presses("a[href$='/grants']")
	ada.shows(200, "granted", "Nothing.")
	if asked := o.asks(modern, "ada"); !strings.HasPrefix(asked.link, o.base) {
		t.Errorf("the next call leads to %q", asked.link)
	}
}

// What the server does not take back is said.
func TestMyGrants_NotRevoked(t *testing.T) {
	t.Parallel()
	s := setup{}
	s.as.Metadata = func(members map[string]any) { delete(members, "revocation_endpoint") }
	o := newOffice(t, s)
	call := o.asks(legacy, "ada")
	ada := o.visitor("ada")
	ada.connects(call.link, "ada")
	call.succeeds("ada")
	ada.opens(o.base + "/connect/grants/all/end")
	ada.presses(ends)
	ada.shows(200, "over", "It has ended", "Notes: ended here alone", "Notes has no way to be told")
	ada.reads("over-not-revoked")
}
