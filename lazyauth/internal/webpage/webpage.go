// Package webpage is what the pages of this program have in common that people see in a browser: how they look,
// and how they are kept to themselves. They run no script and load nothing.
package webpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

var (
	//go:embed parts.html
	parts string
	//go:embed style.css
	style string
)

// Parse returns the templates of source, and those that all pages share: "top", which a page begins with, before
// its title and the end of its head, and the pictures "check", "cross" and "dots". It panics if source is none.
func Parse(source string) *template.Template {
	return template.Must(template.Must(template.New("").Parse(strings.Replace(parts, "STYLE", style, 1))).Parse(source))
}

// Policy returns the Content-Security-Policy by which a page can show itself with its one style, send forms to
// where forms says ('none', 'self'), and do nothing else.
func Policy(forms string) string {
	return "default-src 'none'; style-src '" + styleHash + "'; form-action " + forms + "; frame-ancestors 'none'; base-uri 'none'"
}

// styleHash is the hash of the style as it is sent.
var styleHash = func() string {
	var page bytes.Buffer
	if err := Parse("").ExecuteTemplate(&page, "top", nil); err != nil {
		panic("webpage: " + err.Error())
	}
	_, rest, _ := strings.Cut(page.String(), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()

// Dress adds the headers that keep a page, and the address that it came from, to itself.
func Dress(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// aheadOfTime are the headers of what browsers load before anybody asks for it: those of Fetch
// Metadata, Chrome and Firefox before that, and Safari.
var aheadOfTime = []string{"Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"}

// IsNavigation reports whether a browser loads the address in a window of its own, as far as it
// says (Fetch Metadata, RFC 6454 §7): not as part of a page of another origin than own, not in a frame, not ahead of time.
func IsNavigation(h http.Header, own string) bool {
	only := func(name, value string) bool {
		list := h.Values(name)
		return len(list) == 0 || len(list) == 1 && strings.EqualFold(list[0], value)
	}
	return only("Origin", own) && only("Sec-Fetch-Mode", "navigate") && only("Sec-Fetch-Dest", "document") &&
		!slices.ContainsFunc(aheadOfTime, func(name string) bool { return len(h.Values(name)) > 0 })
}
