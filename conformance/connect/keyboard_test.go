package connect_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hits presses a key.
func (b *browser) hits(key string) {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	if err := chromedp.Do(limited, chromedp.KeyEvent(key)); err != nil {
		b.t.Fatal(err)
	}
}

// A focus is what has it, and what shows that.
type focus struct {
	Text, Outline string
	Width         float64
	InView        bool
}

// tabs moves on by the Tab key. What has the focus then must show it.
func (b *browser) tabs() string {
	b.t.Helper()
	b.hits(kb.Tab)
	at := must[focus](b, `(() => {
		const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
		return { Text: at === document.body ? '' : at.innerText, Outline: style.outlineStyle, Width: parseFloat(style.outlineWidth), InView: box.top >= 0 && box.bottom <= innerHeight };
	})()`)
	if at.Text != "" && (at.Outline != "solid" || at.Width < 2 || !at.InView) {
		b.t.Errorf("the focus is not to be seen: %+v", at)
	}
	return at.Text
}

// tabsTo moves on until something with this text has the focus.
func (b *browser) tabsTo(text string) {
	b.t.Helper()
	var passed []string
	for range 12 {
		at := b.tabs()
		if strings.Contains(at, text) {
			return
		}
		passed = append(passed, at)
	}
	b.t.Fatalf("the Tab key does not lead to %q, but to %q", text, passed)
}

// newKeyboard gives a browser the focus, as one in front of somebody has.
func (b *browser) newKeyboard() {
	b.t.Helper()
	if _, err := chromedp.Call(b.tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		b.t.Fatal(err)
	}
}

// A person without a mouse comes from the link to the last page, and to the end of what they have connected. The way
// out comes before the way on, and so does what is to be kept.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.newKeyboard()
	ada.opens(call.link)
	ada.shows(200, "consent")
	order := []string{ada.tabs(), ada.tabs(), ada.tabs()}
	if !slices.EqualFunc(order, []string{"I am not ada", "Continue to", ""}, strings.HasPrefix) {
		t.Fatalf("the Tab key leads to %q", order)
	}
	ada.tabsTo("I am not ada")
	ada.leaves()
	ada.hits(kb.Enter)
	ada.shows(200, "not-me")
	ada.opens(call.link)
	ada.shows(200, "consent")
	ada.tabsTo("Continue to")
	ada.leaves()
	ada.hits(kb.Enter)
	ada.shows(200, "signin")
	ada.tabsTo("Ada Example")
	ada.leaves()
	ada.hits(kb.Enter)
	ada.shows(200, "consent", "will act for this account")
	ada.tabsTo("Approve")
	ada.leaves()
	ada.hits(kb.Enter)
	ada.shows(200, "signed-in")
	call.succeeds("ada")

	ada.opens(o.base + "/connect/grants")
	ada.shows(200, "granted")
	for _, step := range []struct{ to, page string }{{"Notes", "details"}, {"End it", "ending"}, {"End it", "over"}} {
		if step.page == "over" {
			if first := ada.tabs(); first != "Keep it" {
				t.Errorf("the first is %q", first)
			}
		}
		ada.tabsTo(step.to)
		ada.leaves()
		ada.hits(kb.Enter)
		ada.shows(200, step.page)
	}
}

// What a screen reader is given of the page on which a person decides.
func TestAccessibilityTree(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.opens(call.link)
	ada.shows(200, "consent")
	port := func(text string) string { // which differs each time
		for _, origin := range []string{o.base, o.as.Issuer()} {
			_, host, _ := strings.Cut(origin, "://")
			name, _, _ := strings.Cut(host, ":")
			text = strings.ReplaceAll(text, host, name)
		}
		return text
	}
	const want = `RootWebArea "Connect Notes"
  banner
    paragraph
      StaticText "Connect Notes"
  main
    heading "Connect Notes for ada?"
    paragraph
      StaticText "A program asks for it. It says it is "
      StaticText "“"
      StaticText "Sample Agent"
      StaticText "”"
      StaticText "."
    region "What it asks for"
      heading "What it asks for"
      list
        listitem
          StaticText "profile"
    complementary "You are signed in as ada"
      heading "You are signed in as ada"
      paragraph
        StaticText "ada will be able to use what you connect. If that is not you, somebody wants to use your account: do not continue."
    form
      paragraph
        button "I am not ada"
        button "Continue to login.test": ada will be able to use what you connect. If that is not you, somebody wants to use your account: do not continue.
  contentinfo
    paragraph
      StaticText "mcp.test knows you as ada."
`
	if got := port(ada.tree()); got != want {
		t.Errorf("the tree is\n%s\nwant\n%s", got, want)
	}
}

// tree returns the accessibility tree of the page, of what is not passed over.
func (b *browser) tree() string {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	got, err := chromedp.Call(limited, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	nodes := make(map[accessibility.NodeID]*accessibility.Node)
	for _, node := range got.Nodes {
		nodes[node.NodeID] = node
	}
	var text strings.Builder
	var write func(node *accessibility.Node, depth int)
	write = func(node *accessibility.Node, depth int) {
		role := valueOf(node.Role)
		if !node.Ignored && role != "InlineTextBox" && role != "ListMarker" && role != "generic" {
			text.WriteString(strings.Repeat("  ", depth) + role)
			if name := valueOf(node.Name); name != "" {
				text.WriteString(` "` + name + `"`)
			}
			if more := valueOf(node.Description); more != "" {
				text.WriteString(": " + more)
			}
			text.WriteByte('\n')
			depth++
		}
		if role == "button" || role == "heading" { // whose name says it
			return
		}
		for _, id := range node.ChildIDs {
			if child := nodes[id]; child != nil {
				write(child, depth)
			}
		}
	}
	write(got.Nodes[0], 0)
	return text.String()
}

// valueOf returns what a tree says of a node; empty if it says nothing.
func valueOf(v *accessibility.Value) (text string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // what is no text is not looked at
	}
	return text
}
