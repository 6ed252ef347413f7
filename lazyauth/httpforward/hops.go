package httpforward

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// hopHeader is on a request that comes from another replica.
const hopHeader = "Lazyauth-Forwarded"

// hopLife is how long that is believed: a request is on its way for a moment, and clocks differ.
const hopLife = time.Minute

// hops tell the requests of replicas from those of callers: by an HMAC of what the request is, so
// that one which was seen is of no use for another.
type hops struct{ key []byte }

func newHops(key []byte) hops {
	derived, err := hkdf.Key(sha256.New, key, nil, "lazyauth httpforward 1", sha256.Size)
	if err != nil {
		panic(err) // the length is a constant
	}
	return hops{derived}
}

// sign returns the header of a request.
func (h hops) sign(r *http.Request, body []byte) string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	return at + "." + h.sum(at, r, body)
}

func (h hops) sum(at string, r *http.Request, body []byte) string {
	digest := sha256.Sum256(body)
	mac := hmac.New(sha256.New, h.key)
	for _, part := range []string{at, r.URL.RequestURI(), r.Header.Get("Authorization"), string(digest[:])} {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// isOfReplica reports whether a request with this header comes from another replica.
func (h hops) isOfReplica(header string, r *http.Request, body []byte) bool {
	at, sum, ok := strings.Cut(header, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > hopLife {
		return false
	}
	return hmac.Equal([]byte(sum), []byte(h.sum(at, r, body)))
}
