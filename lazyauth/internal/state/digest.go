package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// DigestArguments returns the SHA-256 of a tool call's arguments in a
// canonical form, so that a host which decodes and re-encodes them between the
// call and its retry still presents "the same" arguments: keys are sorted,
// white space is dropped, and a number has one spelling. Absent arguments
// count as {}.
//
// Numbers keep all their digits: two that differ only beyond the precision of a
// float64 have different digests.
func DigestArguments(arguments json.RawMessage) ([sha256.Size]byte, error) {
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = json.RawMessage("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(arguments))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("state: arguments are not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return [sha256.Size]byte{}, errors.New("state: arguments are more than one JSON value")
	}
	canonical, err := json.Marshal(normalize(value)) // sorts the keys of maps
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("state: arguments: %w", err)
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

// normalizeNumber returns the number of the same value whose mantissa is an
// integer without a zero at its end, so that each decimal value has one
// spelling, exactly and at any size.
func normalizeNumber(n json.Number) json.Number {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	power := 0
	if exponent != "" {
		var err error
		if power, err = strconv.Atoi(exponent); err != nil {
			return n // an exponent beyond all measure is its own spelling
		}
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0"
	}
	short := strings.TrimRight(digits, "0")
	power += len(digits) - len(short) - len(fraction)
	return json.Number(sign + short + "e" + strconv.Itoa(power))
}
