package hostcheck

import "testing"

func TestDeclaring_Sentinel(t *testing.T) {
	if got, ok := sentinel("=?base64?SGVsbG8sIOS4lueVjA==?="); !ok || got != "Hello, 世界" {
		t.Errorf("decoded as %q, %v", got, ok)
	}
	for _, s := range []string{"notes_search", "=?base64?", "=?base64?!!?=", "=?BASE64?aGk=?="} {
		if got, ok := sentinel(s); ok {
			t.Errorf("%q is taken for an encoding of %q", s, got)
		}
	}
}
