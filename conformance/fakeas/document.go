package fakeas

import (
	"net/url"
	"slices"
	"strings"
)

// maxDocument is how large a client ID metadata document may be, in bytes: the
// draft recommends that servers stop there.
const maxDocument = 5 << 10

// documented makes a client of a client ID metadata document
// (draft-ietf-oauth-client-id-metadata-document, as MCP has it in
// "Client ID Metadata Documents"), or says why not. The caller does not hold the
// mutex.
func (o *settings) documented(id string) (*Client, string) {
	if o.ClientDocument == nil {
		return nil, "client ID metadata documents are not supported"
	}
	u, ok := parseClientURL(id)
	if !ok {
		return nil, "the client ID is no URL of a metadata document"
	}
	if o.ClientHosts != nil && !slices.Contains(o.ClientHosts, u.Host) {
		return nil, "metadata documents of this host are not accepted"
	}
	text, ok := o.ClientDocument(id)
	if !ok {
		return nil, "the metadata document cannot be had"
	}
	if len(text) > maxDocument {
		return nil, "the metadata document is too large"
	}
	m, err := readClientMetadata(text)
	if err != nil {
		return nil, "the metadata document is malformed"
	}
	_, description := m.check(o)
	switch {
	case m.id != id: // as they stand
		return nil, "the metadata document names another client"
	case m.hasSecret || m.auth != "" && m.auth != NoAuth:
		return nil, "the metadata document is of a client with a secret"
	case m.name == "":
		return nil, "the metadata document has no client_name"
	case description != "":
		return nil, "the metadata document has " + description
	}
	return &Client{
		ID: id, Name: m.name, Auth: NoAuth, RedirectURIs: append([]string{}, m.redirectURIs...), GrantTypes: m.grantTypes,
	}, ""
}

// parseClientURL reads a client ID that is the URL of its document: https, with
// a path, and written so that there is one way to read it.
func parseClientURL(id string) (*url.URL, bool) {
	u, err := url.Parse(id)
	if err != nil || len(id) > maxRedirectURI || !isPrintable(id) || u.Scheme != "https" || !isHost(u) ||
		u.User != nil || strings.ContainsAny(id, "#?\\") || len(u.Path) < 2 {
		return nil, false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, false
		}
	}
	return u, true
}

// isClientURL reports whether a client ID can be meant for the URL of a
// document.
func isClientURL(id string) bool { return strings.HasPrefix(id, "https://") }
