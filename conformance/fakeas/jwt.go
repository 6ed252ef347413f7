package fakeas

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// A signingKey signs JWTs with ES256 (RFC 7518 §3.4), the one algorithm that this server has.
type signingKey struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigningKey() *signingKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err.Error()) // the system has no randomness
	}
	return &signingKey{id: rand.Text()[:8], key: key}
}

// jwks is the set of public keys (RFC 7517 §5).
func (k *signingKey) jwks() []byte {
	point, err := k.key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		panic(err.Error()) // it is a point on the curve
	}
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": k.id,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}}})
	if err != nil {
		panic(err.Error()) // texts
	}
	return set
}

// sign makes a JWT of this type (RFC 7515 §3.1, RFC 8725 §3.11).
func (k *signingKey) sign(kind string, claims map[string]any) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err.Error()) // texts and numbers
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]string{"alg": "ES256", "typ": kind, "kid": k.id}) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, sum[:])
	if err != nil {
		panic(err.Error()) // no reason is known
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

var errJWT = errors.New("no JWT that one of these keys has signed")

// verifyJWT returns the claims of a JWT of this type that one of the keys has signed. It judges
// none of them.
func verifyJWT(token, kind string, jwks []byte) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errJWT
	}
	var header struct{ Alg, Typ, Kid string }
	var claims map[string]any
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || decodePart(parts[0], &header) != nil || decodePart(parts[1], &claims) != nil {
		return nil, errJWT
	}
	if header.Alg != "ES256" || !strings.EqualFold(header.Typ, kind) {
		return nil, errJWT
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X, Y string }
	}
	if json.Unmarshal(jwks, &set) != nil {
		return nil, errJWT
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, k := range set.Keys {
		x, err1 := base64.RawURLEncoding.DecodeString(k.X)
		y, err2 := base64.RawURLEncoding.DecodeString(k.Y)
		if k.Kty != "EC" || k.Crv != "P-256" || k.Kid != header.Kid || err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err == nil && ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			return claims, nil
		}
	}
	return nil, errJWT
}

func decodePart(part string, v any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
