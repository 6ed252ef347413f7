package hostcheck

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Parameters that are mirrored in headers, over HTTP.
var mirrors = []Requirement{
	{
		ID: "B41", Name: "mirrors parameters in headers", Revision: Modern, Level: Must, Observed: onWire,
		Text: "A call has a header Mcp-Param-… for each parameter that is annotated with x-mcp-header, nested ones included, and none " +
			"for what is null or is not there.",
		Section: section(Modern, "basic/transports/streamable-http#custom-headers-from-tool-parameters"),
		Official: []string{
			"sep-2243-client-supports-custom-headers", "sep-2243-client-mirrors-designated-params",
			"sep-2243-client-encode-values", "sep-2243-client-omit-null",
		},
		eras: modernOnly, transport: HTTP,
		started: func(j judge, f *flow) {
			f.eachMirrored(j, func(name, header, value string, given bool) (fault string) {
				_, there := f.now().Header[http.CanonicalHeaderKey(name)]
				got, decoded := sentinel(header)
				if !decoded {
					got = header
				}
				switch {
				case !given && there:
					return fmt.Sprintf("%s is %q, and there is no value to mirror", name, wire.Excerpt([]byte(header), 60))
				case given && !there:
					return name + " is missing"
				case given && got != value && !sameNumber(got, value) && !needsEncoding(value): // or it is told as that
					return fmt.Sprintf("%s is %q where the body says %q", name, wire.Excerpt([]byte(header), 60), value)
				}
				return ""
			})
		},
	},
	{
		ID: "B42", Name: "encodes what headers cannot carry", Revision: Modern, Level: Must, Observed: onWire,
		Text: "A mirrored value that is not plain ASCII, has blanks at an end or lines in it, or looks as if it were encoded, is " +
			"carried in Base64 as =?base64?…?=.",
		Section:  section(Modern, "basic/transports/streamable-http#value-encoding"),
		Official: []string{"sep-2243-client-base64-unsafe"},
		eras:     modernOnly, transport: HTTP,
		started: func(j judge, f *flow) {
			if f.label != "encoded" {
				return
			}
			f.eachMirrored(j, func(name, header, value string, given bool) (fault string) {
				if !given || header == "" || !needsEncoding(value) || header == "=?base64?"+base64.StdEncoding.EncodeToString([]byte(value))+"?=" {
					return ""
				}
				return fmt.Sprintf("%s is %q, which does not carry %q", name, wire.Excerpt([]byte(header), 60), value)
			})
		},
	},
	{
		ID: "B43", Name: "leaves invalid tools out", Revision: Modern, Level: Must, Observed: onWire,
		Text:    "A tool whose annotations are invalid is left out of the list: it is not called, and the others are.",
		Section: section(Modern, "basic/transports/streamable-http#schema-extension"),
		Official: []string{
			"sep-2243-client-reject-invalid-tool", "sep-2243-x-mcp-header-not-empty", "sep-2243-x-mcp-header-charset",
			"sep-2243-x-mcp-header-unique", "sep-2243-x-mcp-header-primitive-only",
		},
		eras: modernOnly, transport: HTTP,
		started: func(j judge, f *flow) {
			if _, bad := invalid[f.now().Name]; bad && f.s.listedBefore(f.now()) {
				j.fail(fmt.Sprintf("the host calls %q, whose x-mcp-header is invalid", f.now().Name), f.now().Event)
			}
		},
		end: func(j judge, s *session) {
			next, ok := s.goesOn()
			switch file := s.labelled("plain"); {
			case !ok:
			case !s.listedBefore(next.rounds[0]):
				j.note("the host does not ask for the list of tools", next.rounds[0].Event)
			case !s.guided && !s.can(callsListed):
				// Who calls by name whatever it is told shows nothing of its list.
				j.skip("the host does not say that it calls no tool that its list does not have", next.rounds[0].Event)
			default:
				j.that(len(file) > 0, fmt.Sprintf("the host does not call %q, whose x-mcp-header are valid", toolFile), next.rounds[0].Event)
			}
		},
	},
	{
		ID: "B44", Name: "looks again at the tools after HeaderMismatch", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "A call that is refused with -32020 (HeaderMismatch) is made again, with the headers of the tools as they are now.",
		Section: section(Modern, "basic/transports/streamable-http#client-behavior"),
		eras:    modernOnly, transport: HTTP,
		end: func(j judge, s *session) {
			calls := s.labelled("moved")
			if _, on := s.goesOn(); !on || len(calls) == 0 {
				return
			}
			first, last := calls[0].now(), calls[len(calls)-1].now()
			switch {
			case first.Header.Get(paramHeader+movedHeader) != "":
				j.pass(first.Event)
			case first == last:
				j.fail("a call that was refused with HeaderMismatch was not made again", first.Event)
			default:
				j.that(last.Header.Get(paramHeader+movedHeader) != "",
					"a call that was refused with HeaderMismatch was made again without the header of the new list", first.Event, last.Event)
			}
		},
	},
}

// eachMirrored judges a call by each of its parameters that is annotated. Without the
// list of tools a host cannot know of them.
func (f *flow) eachMirrored(j judge, judged func(name, header, value string, given bool) (fault string)) {
	c := f.now()
	if c.Name != toolFile || f.label == "moved" {
		return
	}
	if !f.s.listedBefore(c) {
		j.note("the host does not ask for the list of tools, and cannot know of annotations", c.Event)
		return
	}
	var arguments map[string]any
	_ = json.Unmarshal(c.Arguments, &arguments)
	f.s.guard.Lock()
	params := f.s.annotated()
	f.s.guard.Unlock()
	for _, p := range params {
		value, given := spokenValue(at(arguments, p.path))
		if fault := judged(paramHeader+p.header, c.Header.Get(paramHeader+p.header), value, given); fault != "" {
			j.fail(fault, c.Event)
			return
		}
	}
	j.pass(c.Event)
}

// at is the value at a path; nil if there is none.
func at(value any, path []string) any {
	for _, name := range path {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	return value
}

// needsEncoding says whether a header cannot carry a value as it is.
func needsEncoding(value string) bool {
	plain := strings.IndexFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) < 0
	return !plain || strings.TrimSpace(value) != value || strings.HasPrefix(value, "=?base64?") && strings.HasSuffix(value, "?=")
}

// decimal is an integer as a header may say it: a server is to compare 42.0 and 42 as
// numbers.
var decimal = regexp.MustCompile(`^-?[0-9]+(\.0+)?$`)

// sameNumber says whether both are the same number.
func sameNumber(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y && decimal.MatchString(a)
}
