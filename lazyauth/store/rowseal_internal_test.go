package store

import (
	"bytes"
	"testing"
)

// What is padded is there again, and nothing passes for padding that is none.
func FuzzPadding(f *testing.F) {
	for _, text := range [][]byte{nil, []byte("x"), {0x80}, {0x80, 0}, make([]byte, 255), make([]byte, 256), pad(nil), pad(make([]byte, 255))} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		padded := pad(bytes.Clone(text))
		if back, err := unpad(padded); err != nil || !bytes.Equal(back, text) || len(padded)%padding != 0 || len(padded) > len(text)+padding {
			t.Errorf("%x is %x, and %x again: %v", text, padded, back, err)
		}
		if back, err := unpad(text); err == nil && !bytes.Equal(pad(bytes.Clone(back)), text) {
			t.Errorf("%x passes for %x with padding", text, back)
		}
	})
}
