package oauth

import (
	"errors"
	"net/url"
)

// CheckIssuer says what keeps issuer from being one, if anything: it must be an
// https URL without a query and fragment (RFC 8414 §2), or http on a loopback
// host. It does no I/O.
func CheckIssuer(issuer string) error {
	_, err := parseIssuer(issuer)
	return err
}

func parseIssuer(issuer string) (*url.URL, error) {
	base, why := CheckURL(issuer, true)
	if why == "" && (base.RawQuery != "" || base.ForceQuery) {
		why = "has a query"
	}
	if why != "" {
		return nil, errors.New("the issuer " + why)
	}
	return base, nil
}
