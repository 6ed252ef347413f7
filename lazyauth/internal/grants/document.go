package grants

import (
	"errors"
	"net/url"
	"strings"
)

const maxDocumentURL = 2048 // bytes

// IsDocument reports whether a client id is meant for the address of a document about the
// client (draft-ietf-oauth-client-id-metadata-document §3).
func IsDocument(id string) bool {
	return strings.HasPrefix(id, "https:") || strings.HasPrefix(id, "http:")
}

// CheckDocument says what is wrong with a client id that is the address of a document, and
// returns the document's host, with its port if it names one. Servers compare such ids byte by
// byte, and show the host to people, so that there must be one way to read it. The error quotes
// nothing.
func CheckDocument(id string) (host string, err error) {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || strings.IndexByte(`\"<>^{|}`+"`", id[i]) >= 0 {
			return "", errors.New("has a character that does not belong in a URL")
		}
	}
	u, err := url.Parse(id)
	switch {
	case len(id) > maxDocumentURL:
		return "", errors.New("is too long")
	case err != nil || !strings.HasPrefix(id, "https://") || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return "", errors.New("is not an https URL with a host")
	case u.User != nil:
		return "", errors.New("has a user name")
	case strings.ContainsAny(id, "?#"):
		return "", errors.New("has a query or a fragment")
	case u.Host != strings.ToLower(u.Host) || strings.HasSuffix(u.Host, ":") || strings.HasSuffix(u.Hostname(), "."):
		return "", errors.New("has a host that is not written as servers compare it: in lower case, without a dot at its end")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-:[]", r) }):
		return "", errors.New("has a host that is not a name in ASCII, or an address")
	case len(u.Path) < 2:
		return "", errors.New("has no path")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "", errors.New("has a path with a dot for a segment")
		}
	}
	return u.Host, nil
}
