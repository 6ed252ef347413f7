package device_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

func TestNew_WithoutADeviceEndpoint(t *testing.T) {
	common, err := oauth.New(oauth.Config{Endpoints: oauth.Endpoints{Token: "https://as.example/t"}, Credentials: oauth.Credentials{ID: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = device.New(common, device.Options{})
	if e := wantError(t, err, oauth.ErrUnsupported); e.Op != "device authorization" {
		t.Errorf("%+v", e)
	}
}
