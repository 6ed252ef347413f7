package schema

import (
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
)

// Form compares the content of an accepted form with the schema that was requested,
// which is the suite's own. The error says where it differs.
func Form(requested any, content json.RawMessage) error {
	raw, err := json.Marshal(requested)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	var instance any
	if len(content) == 0 {
		content = json.RawMessage("{}")
	}
	if err := json.Unmarshal(content, &instance); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if err := r.Validate(instance); err != nil {
		return short(err)
	}
	return nil
}
