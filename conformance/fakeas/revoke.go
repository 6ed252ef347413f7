package fakeas

import "net/http"

// revoke answers RFC 7009. A refresh token takes its access tokens along
// (§2.1); an access token ends alone, unless grants are shared.
func (x *exchange) revoke() reply {
	s, text := x.server, x.form.Get("token")
	s.mu.Lock()
	t, refresh := s.refresh[text], true
	if t == nil {
		t, refresh = s.access[text], false
	}
	foreign := t != nil && t.clientID != x.client.ID
	if t != nil && !foreign {
		if refresh || s.opts.SharedGrant {
			t.grant.revoke(x.entry.Time)
		}
		t.own.revoke(x.entry.Time)
	}
	s.mu.Unlock()
	if foreign {
		x.violate(ForeignToken, "")
		return x.refuse(http.StatusBadRequest, "invalid_grant", "a token of another client")
	}
	header := http.Header{"Cache-Control": {"no-store"}}
	return reply{status: http.StatusOK, header: header, outcome: OK}
}
