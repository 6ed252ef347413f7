package refhost

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// maxRounds is how often one call may ask for input.
const maxRounds = 12

// inputRequired is a result of the newer era that asks for input.
type inputRequired struct {
	ResultType   string `json:"resultType"`
	RequestState *string
	Requests     map[string]struct {
		Method string      `json:"method"`
		Params elicitation `json:"params"`
	} `json:"inputRequests"`
}

// rounds makes one call of the newer era, with its retries.
func (h *host) rounds(ctx context.Context, p *client, c hostcheck.Call) (outcome, bool) {
	params := h.params(c)
	if h.fault == CarriesStale {
		h.carry(params)
	}
	if p.excluded(c.Tool) {
		return outcome{fmt.Sprintf("there is no tool %q", c.Tool), true}, false
	}
	refused, loops, limit := false, 0, maxRounds
	if h.fault == FiveRounds {
		limit = 5
	}
	var first *string
	accepted := make(map[string]bool) // by the key of the input
	for range limit {
		r, err := p.request(ctx, method(c), params, c)
		if err != nil {
			return failure(err), refused
		}
		if r.Error != nil && r.Error.Code == -32042 && h.fault == LoopsOnRequired && loops < 8 {
			loops++
			continue
		}
		if r.Error != nil && r.Error.Code == -32020 && h.fault != NeverRefreshes && loops == 0 {
			loops++
			if err := p.tools(ctx); err != nil {
				return failure(err), refused
			}
			continue
		}
		var in inputRequired
		if r.Error != nil || json.Unmarshal(r.Result, &in) != nil || !h.asksFor(in) {
			return h.read(r), refused
		}
		if h.fault == AsksOnce && knows(accepted, in) {
			return outcome{"signed in, it says here", false}, refused
		}
		if len(in.Requests) == 0 && h.fault == IgnoresStateOnly {
			return outcome{"the server asks for nothing", true}, refused
		}
		if h.fault == NeedsMode && in.lacksMode() {
			return outcome{"the server asks in no mode", true}, refused
		}
		responses := h.gather(ctx, in)
		if ctx.Err() != nil {
			return failure(context.Cause(ctx)), refused
		}
		for key, response := range responses {
			accepted[key] = response["action"] == "accept"
			refused = refused || !accepted[key]
		}
		if h.fault == ReadsInOneRound && c.Resource != "" && first != nil {
			return outcome{"this resource asks too much", true}, refused
		}
		if refused && h.habit == EndsOnRefusal {
			return outcome{"the person refused", true}, true
		}
		if first == nil {
			first = in.RequestState
		}
		params = h.retry(c, in, responses, first)
	}
	return outcome{"the server asks for more than this host takes part in", true}, refused
}

// A response is what the person answered to an input request.
type response = map[string]any

// knows says whether a result asks again for what was accepted, for a fault.
func knows(accepted map[string]bool, in inputRequired) bool {
	for key := range in.Requests {
		if accepted[key] {
			return true
		}
	}
	return false
}

// asksFor says whether a result asks for input.
func (h *host) asksFor(in inputRequired) bool {
	return in.ResultType == "input_required" || h.fault == GuessesTypes && len(in.Requests) > 0
}

// lacksMode says whether a request for input names no mode.
func (in inputRequired) lacksMode() bool {
	for _, r := range in.Requests {
		if r.Params.Mode == "" {
			return true
		}
	}
	return false
}

// gather asks the person for every input.
func (h *host) gather(ctx context.Context, in inputRequired) map[string]response {
	responses := make(map[string]response)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, key := range slices.Sorted(maps.Keys(in.Requests)) {
		if i > 0 && h.fault == AnswersOneInput {
			break
		}
		wg.Go(func() {
			answer := h.elicit(ctx, in.Requests[key].Params)
			mu.Lock()
			defer mu.Unlock()
			responses[key] = answer
		})
	}
	wg.Wait()
	return responses
}

// retry builds the parameters of a retry.
func (h *host) retry(c hostcheck.Call, in inputRequired, responses map[string]response, first *string) map[string]any {
	params := h.params(c)
	if len(in.Requests) > 0 {
		params["inputResponses"] = responses
	}
	state := in.RequestState
	switch h.fault {
	case DropsState:
		if len(in.Requests) > 0 {
			state = nil
		}
	case TrimsState:
		if state != nil {
			trimmed := strings.TrimSpace(*state)
			state = &trimmed
		}
	case NormalizesState:
		if state != nil {
			normal := strings.ReplaceAll(*state, "e\u0301", "é")
			state = &normal
		}
	case CutsState:
		if state != nil {
			cut := (*state)[:min(len(*state), 4096)]
			state = &cut
		}
	case SwapsAnswers:
		if left, right := responses["left"], responses["right"]; left != nil && right != nil {
			params["inputResponses"] = map[string]response{"left": right, "right": left}
		}
	case InventsState:
		if state == nil {
			empty := ""
			state = &empty
		}
	case KeepsFirstState:
		state = first
	case ChangesArguments:
		if c.Resource != "" {
			break
		}
		params["arguments"] = map[string]any{"call": c.Arguments["call"]}
	case SharesResponses:
		params["inputResponses"] = h.share(responses)
	case RetryWithoutMeta:
		params["_meta"] = nil
	}
	if state != nil {
		params["requestState"] = *state
	}
	h.mu.Lock()
	h.stash.state = state
	h.mu.Unlock()
	return params
}

// carry adds what an earlier call left, as no host should.
func (h *host) carry(params map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stash.state != nil {
		params["requestState"] = *h.stash.state
	}
}

// share adds the answers of all calls to those of one, as no host should.
func (h *host) share(responses map[string]response) map[string]response {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stash.responses == nil {
		h.stash.responses = make(map[string]response)
	}
	maps.Copy(h.stash.responses, responses)
	return maps.Clone(h.stash.responses)
}
