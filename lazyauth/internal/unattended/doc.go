// Package unattended gets tokens that no person is asked for, as a client of package oauth:
// by exchanging a token that the caller has shown (RFC 8693), by an assertion that another
// authorization server has signed for this one (RFC 7523), or as the client itself (RFC 6749
// §4.4). [Assert] after [Exchange] for an ID-JAG is the Identity Assertion JWT Authorization
// Grant (draft-ietf-oauth-identity-assertion-authz-grant-04).
//
// What package oauth says of servers holds here, too. Beyond that:
//
//   - No refresh token is asked for, and one that comes is dropped: a grant without a person
//     ends with what it was got by.
//   - What a caller has shown is sent to the token endpoint of the client that it is given, and
//     nowhere else; which server that is allowed to be, the caller of this package has to know.
//   - What comes back has to be what was asked for, by the server's own word: an
//     issued_token_type that is another one, or none, is refused.
//
// Errors are [oauth.Error]: ErrRefused where the server has said no, ErrUnavailable where the
// same may succeed later, ErrInvalid for an answer that cannot be used, or that of ctx. No
// request has an effect that would do harm if it were had twice, so each is tried once more
// where that may go better.
package unattended
