package elicit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// DigestArguments returns the SHA-256 of a tool call's arguments in a
// canonical form, so that a host which decodes and re-encodes them between the
// call and its retry still presents "the same" arguments: keys are sorted,
// white space is dropped, and a number has one spelling. Absent arguments
// count as {}.
//
// Integers keep all their digits: two that differ only beyond the precision of
// a float64 have different digests.
func DigestArguments(arguments json.RawMessage) ([sha256.Size]byte, error) {
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = json.RawMessage("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(arguments))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("elicit: arguments are not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return [sha256.Size]byte{}, errors.New("elicit: arguments are more than one JSON value")
	}
	canonical, err := json.Marshal(normalize(value)) // sorts the keys of maps
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("elicit: arguments: %w", err)
	}
	return sha256.Sum256(canonical), nil
}

// normalize rewrites the numbers below value in place.
func normalize(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = normalize(member)
		}
	case []any:
		for k, element := range v {
			v[k] = normalize(element)
		}
	case json.Number:
		return normalizeNumber(v)
	}
	return value
}

func normalizeNumber(n json.Number) json.Number {
	text := n.String()
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil { // out of range: the text itself is as canonical as it gets
		return n
	}
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) < exact {
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
