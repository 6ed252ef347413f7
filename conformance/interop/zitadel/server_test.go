package zitadel_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client, and the one user of the example who has a name without a host in it. Their
// ID is what they are approved as: see repaired.
const (
	clientID = "notes"
	userID   = "id2"
	userName = "test-user2"
)

// How long codes and access tokens live: longer than any story, or as long as one that waits for
// their end has patience for. Clients are told the whole seconds before it is over.
const (
	lasting  = 2 * patience
	fleeting = 5 * time.Second
)

// A provider is zitadel's OpenID provider on a listener of its own.
type provider struct {
	issuer  string
	handler atomic.Pointer[http.Handler]
	storage *repaired
	codes   time.Duration // how long device codes live
	tokens  time.Duration // how long access tokens do
}

// startProvider starts one whose device codes and access tokens live so long.
func startProvider(t *testing.T, codes, tokens time.Duration) *provider {
	t.Helper()
	p := &provider{codes: codes, tokens: tokens}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*p.handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	p.issuer = web.URL + "/" // its issuers may end in a slash, and their endpoints have none to spare
	p.restart(t)
	return p
}

// restart makes it forget everything, as a restart does: the example keeps all in memory.
func (p *provider) restart(t *testing.T) {
	t.Helper()
	p.storage = &repaired{
		Storage: storage.NewStorageWithClients(storage.NewUserStore(p.issuer), map[string]*storage.Client{
			clientID:    storage.NativeClient(clientID),
			exchangerID: storage.WebClient(exchangerID, exchangerSecret),
		}),
		used: map[string]bool{}, ends: map[string]time.Time{}, tokens: p.tokens,
	}
	config := &op.Config{
		GrantTypeRefreshToken: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: p.codes, PollInterval: time.Second, UserFormPath: "/device", UserCode: op.UserCodeBase20,
		},
	}
	if _, err := rand.Read(config.CryptoKey[:]); err != nil {
		t.Fatal(err)
	}
	server, err := op.NewProvider(config, p.storage, op.StaticIssuer(p.issuer), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = server
	p.handler.Store(&handler)
}

// url returns where something of the provider is.
func (p *provider) url(path string) string { return strings.TrimSuffix(p.issuer, "/") + path }

// approve and deny are what the person does.
func (p *provider) approve(t *testing.T, userCode string) {
	t.Helper()
	if err := p.storage.CompleteDeviceAuthorization(t.Context(), userCode, userID); err != nil {
		t.Error(err)
	}
}

func (p *provider) deny(t *testing.T, userCode string) {
	t.Helper()
	if err := p.storage.DenyDeviceAuthorization(t.Context(), userCode); err != nil {
		t.Error(err)
	}
}

// repaired is the example's storage (v3.51.17) with what it lacks for a device flow that
// ends in a grant:
//
//  1. Its device page approves as the user's name, and its storage looks users up by
//     their ID, so that every later question about the user fails. The page is left out,
//     and approvals name the ID.
//
//  2. Tokens from a device flow do not record their client (CreateAccessToken and
//     getInfoFromRequest know other requests only). They can then neither be refreshed
//     nor revoked, since they are of another client than the one that asks. Here they are
//     made as those of an authorization request of the same client.
//
//  3. An approved device code stays good, and is exchanged as often as one likes. Here it
//     is good once.
//
//  4. There are data races: the state of a device code and the refresh token are handed
//     out by pointer and read without the lock under which they are changed;
//     GetRefreshTokenInfo reads a map without it. Here one lock is around all of these,
//     and copies are handed out.
//
//  5. Its device client has no refresh grant, and its clients with one have no device
//     grant. Here the client has both.
//
//  6. It takes each token exchange without an actor for an impersonation, which is for
//     administrators, and has it fail with server_error. Here who presents a token of the
//     user's may have it exchanged.
//
// That access tokens live otherwise than the example's, five minutes, is no repair.
type repaired struct {
	*storage.Storage

	mu   sync.Mutex
	used map[string]bool      // device codes
	ends map[string]time.Time // of access tokens, by their ID

	tokens time.Duration // how long those live
}

// GetClientByClientID adds the device grant (5).
func (s *repaired) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return deviceClient{client}, nil
}

type deviceClient struct{ op.Client }

func (c deviceClient) GrantTypes() []oidc.GrantType {
	return append(slices.Clone(c.Client.GrantTypes()), oidc.GrantTypeDeviceCode)
}

// GetDeviceAuthorizatonState has the name that op gives it. It lets a code be used once
// (3), and returns a copy (4).
func (s *repaired) GetDeviceAuthorizatonState(ctx context.Context, client, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[deviceCode] {
		return nil, errors.New("the device code was used")
	}
	state, err := s.Storage.GetDeviceAuthorizatonState(ctx, client, deviceCode)
	if err != nil {
		return nil, err
	}
	s.used[deviceCode] = state.Done && !state.Denied
	own := *state
	return &own, nil
}

func (s *repaired) CompleteDeviceAuthorization(ctx context.Context, userCode, subject string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.CompleteDeviceAuthorization(ctx, userCode, subject)
}

func (s *repaired) DenyDeviceAuthorization(ctx context.Context, userCode string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.DenyDeviceAuthorization(ctx, userCode)
}

// CreateAccessToken records the client (2).
func (s *repaired) CreateAccessToken(ctx context.Context, request op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, err := s.Storage.CreateAccessToken(ctx, recorded(request))
	return id, s.end(id), err
}

// CreateAccessAndRefreshTokens does, too.
func (s *repaired) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (id, refresh string, _ time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, refresh, _, err = s.Storage.CreateAccessAndRefreshTokens(ctx, recorded(request), current)
	return id, refresh, s.end(id), err
}

func recorded(request op.TokenRequest) op.TokenRequest {
	if state, ok := request.(*op.DeviceAuthorizationState); ok {
		return &storage.AuthRequest{ApplicationID: state.ClientID, UserID: state.Subject, Scopes: state.Scopes}
	}
	return request
}

// end says when a token ends, and remembers it.
func (s *repaired) end(id string) time.Time {
	s.ends[id] = time.Now().Add(s.tokens)
	return s.ends[id]
}

// TokenRequestByRefreshToken returns a copy (4).
func (s *repaired) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		return nil, err
	}
	own := *request.(*storage.RefreshTokenRequest).RefreshToken
	return storage.RefreshTokenRequestFromBusiness(&own), nil
}

func (s *repaired) GetRefreshTokenInfo(ctx context.Context, client, token string) (user, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.GetRefreshTokenInfo(ctx, client, token)
}

func (s *repaired) RevokeToken(ctx context.Context, token, user, client string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Storage.RevokeToken(ctx, token, user, client)
}

// ValidateTokenExchangeRequest has no policy (6).
func (s *repaired) ValidateTokenExchangeRequest(_ context.Context, request op.TokenExchangeRequest) error {
	request.SetCurrentScopes(request.GetScopes())
	return nil
}

// SetUserinfoFromToken refuses tokens that have ended.
func (s *repaired) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, id, subject, origin string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.ends[id]) {
		return errors.New("the token has ended")
	}
	return s.Storage.SetUserinfoFromToken(ctx, info, id, subject, origin)
}
