package main

import (
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
)

// An address is where a GitHub answers.
type address struct {
	service lazyauth.Service // where the user signs in, and who may get the token
	api     string           // base URL of the REST API
}

// addressOf returns that of the GitHub at a host, for an OAuth app, or an error that says what a
// host is. The preset knows that who has granted user has granted read:user, and what GitHub says
// instead of insufficient_scope.
func addressOf(host, clientID string) (at address, err error) {
	app := providers.App{ClientID: clientID} // no secret, which GitHub wants for a redirect and not for the device flow
	if strings.EqualFold(host, "github.com") {
		at.service, err = providers.GitHub(app)
	} else {
		at.service, err = providers.GitHubEnterprise(host, app)
	}
	if err != nil {
		return address{}, fmt.Errorf("-host: %w", err)
	}
	at.api = strings.TrimSuffix(at.service.UserInfo, "/user")
	return at, nil
}
