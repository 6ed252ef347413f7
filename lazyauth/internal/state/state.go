// Package state seals what travels through a host as a requestState (MCP 2026-07-28
// basic/patterns/mrtr), and binds it to the request that it is good for. It knows
// nothing of what is sealed.
package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// KeySize is the length of a sealing key in bytes (AES-256).
const KeySize = 32

// MaxState is the length in bytes of the longest requestState that is looked
// at; anything longer is refused unread.
const MaxState = 16 << 10

// ErrState reports a requestState that was not sealed by this server for this
// very request: altered, lapsed, or made for another person, client, tool or
// other arguments. Which of these it was it does not say: the answer goes to
// the host that presented it.
var ErrState = errors.New("state: requestState was not issued for this request, or is no longer valid")

// A State is what a sealed requestState says: which call is meant, and which
// prompt the host's answer belongs to. It carries no credential.
type State struct {
	// Call names a call that the sealing process holds. It is the one thing that the text says in the
	// open, to find the process that has the call: see [CallIn].
	Call string `json:"c,omitempty"`
	// Prompt names the prompt that was shown with this state.
	Prompt string `json:"p,omitempty"`
	// Flight tells the authorization that the prompt was of from every other, in all processes.
	Flight string `json:"f,omitempty"`
	// Mode is how the prompt was shown.
	Mode int `json:"m,omitempty"`
	// Round says that Call is the next round of a handler that makes round trips of
	// its own, which begins with this state.
	Round bool `json:"l,omitempty"`
	// Inner is the requestState of a tool handler that makes round trips of
	// its own; it travels inside, protected by the same seal.
	Inner string `json:"i,omitempty"`
	// End is when the state stops being accepted, on the monotonic clock of the process that
	// opens it: since whatever moment that counts from. What a state names lives in the process
	// that sealed it, and a wall clock that is set back must not have it outlive that. Another
	// process has the wall clock alone to go by.
	End time.Duration `json:"-"`
	// Age is how long ago it was sealed, as far as the wall clock tells; zero in the one that is sealed.
	Age time.Duration `json:"-"`
	// Sealer is the process that sealed it, as that calls itself.
	Sealer string `json:"s,omitempty"`
	// Sealed and Until are the wall clock's times of the sealing and of End.
	Sealed time.Time `json:"t,omitzero"`
	Until  time.Time `json:"u,omitzero"`
}

// A Binding says for what a state is good. It travels nowhere: it is the
// associated data of the seal, so that a state opens only where every field is
// the same again (MCP 2026-07-28 basic/patterns/mrtr, "Security").
type Binding struct {
	Service   string // the service's name, as the server's author gives it
	Issuer    string // the authorization server, by issuer or token endpoint
	ClientID  string // our client there
	Principal string // whose call it is
	Client    string // the host it came from
	Method    string // the MCP method
	Tool      string
	Arguments [sha256.Size]byte // see [DigestArguments]
}

// associated encodes the binding unambiguously: each field after its length.
func (b Binding) associated() []byte {
	out := []byte("lazyauth requestState 1")
	for _, field := range []string{b.Service, b.Issuer, b.ClientID, b.Principal, b.Client, b.Method, b.Tool} {
		out = binary.AppendUvarint(out, uint64(len(field)))
		out = append(out, field...)
	}
	return append(out, b.Arguments[:]...)
}

// A Sealer encrypts and authenticates states with AES-256-GCM. It is safe for
// concurrent use.
type Sealer struct {
	name string // of this process, among those that have the keys
	ring []cipher.AEAD
}

// NewSealer returns a sealer with a ring of keys of [KeySize] bytes each: the
// first seals, all of them open, so that keys can be replaced while states are
// under way. Without a key it makes a random one, good for this process. The name is
// that of this process among those that have the keys, and of no other one, before it or after.
//
// Formatting a Sealer shows no key.
func NewSealer(name string, keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		key := make([]byte, KeySize)
		rand.Read(key) // never fails, see crypto/rand
		keys = [][]byte{key}
	}
	s := &Sealer{name: name}
	for n, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("state: sealing key %d has %d bytes; it needs %d random bytes", n+1, len(key), KeySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("state: sealing key %d: %w", n+1, err)
		}
		// A random 96-bit nonce is safe for 2³² states a key.
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("state: sealing key %d: %w", n+1, err)
		}
		s.ring = append(s.ring, aead)
	}
	return s, nil
}

// String keeps the keys out of logs.
func (*Sealer) String() string { return "state.Sealer" }

// GoString keeps the keys out of %#v.
func (s *Sealer) GoString() string { return s.String() }

// Seal returns state as the opaque text of a requestState, bound to b; now counts as
// State.End does. It fails only if the text would be longer than [MaxState], which can only
// happen by a large Inner.
func (s *Sealer) Seal(state State, b Binding, now time.Duration) (string, error) {
	state.Sealer, state.Sealed = s.name, time.Now().Round(0)
	state.Until = state.Sealed.Add(state.End - now)
	plain := binary.BigEndian.AppendUint64(nil, uint64(state.End))
	body, err := json.Marshal(state)
	if err != nil {
		return "", fmt.Errorf("state: sealing: %w", err)
	}
	sealed := s.ring[0].Seal(nil, nil, append(plain, body...), b.associated())
	text := state.Call + "." + base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) > MaxState {
		return "", fmt.Errorf("state: a requestState of %d bytes is over the limit of %d", len(text), MaxState)
	}
	return text, nil
}

// Own reports whether state was sealed by this process.
func (s *Sealer) Own(state State) bool { return state.Sealer == s.name }

// Open returns the state in text if it was sealed by a key of the ring, for
// this binding, and has not ended at now, which counts as State.End does. Every other
// text gets [ErrState]. See [Sealer.Own] for whose it is.
func (s *Sealer) Open(text string, b Binding, now time.Duration) (State, error) {
	call, text, ok := cut(text)
	if !ok {
		return State{}, ErrState
	}
	// Strict: one state has one spelling.
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return State{}, ErrState
	}
	associated := b.associated()
	for _, key := range s.ring {
		plain, err := key.Open(nil, nil, sealed, associated)
		if err != nil {
			continue
		}
		var state State
		if len(plain) < 8 || json.Unmarshal(plain[8:], &state) != nil || state.Call != call {
			return State{}, ErrState
		}
		state.End = time.Duration(binary.BigEndian.Uint64(plain))
		if state.Age = max(0, time.Since(state.Sealed)); !s.Own(state) {
			state.End = now + time.Until(state.Until)
		}
		if now >= state.End {
			return State{}, ErrState
		}
		return state, nil
	}
	return State{}, ErrState
}

// maxCall is the length of the longest name of a call, which is a random one.
const maxCall = 64

// CallIn returns the call that a text names if it is a state. Nobody has confirmed that it is, and
// what it may do is no more than to ask for a process.
func CallIn(text string) (call string, ok bool) {
	call, _, ok = cut(text)
	return call, ok
}

// cut returns the name of a call in front of what is sealed.
func cut(text string) (call, sealed string, ok bool) {
	if len(text) > MaxState {
		return "", "", false
	}
	call, sealed, ok = strings.Cut(text, ".")
	if len(call) > maxCall {
		return "", "", false
	}
	for _, c := range []byte(call) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "", "", false
		}
	}
	return call, sealed, ok
}

// Mark names the mark, in a store that processes share, of whose a call's handler is.
func Mark(call string) string { return "start " + call }

// WaitMark names that of who waits for the sign-in of a call whose handler has not started, where no
// other process can.
func WaitMark(call string) string { return "wait " + call }
