package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// hostchecks runs the suite, and writes or compares its part of the page.
func (o order) hostchecks(ctx context.Context, bin string) error {
	chosen, err := named(o.names, hosts, func(h host) string { return h.name })
	if err != nil {
		return err
	}
	began := time.Now()
	measured, err := measure(ctx, chosen, bin, o.from)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "measured in %v\n", time.Since(began).Round(time.Second))
	if o.out != "" {
		for _, m := range measured {
			if err := report.Write(filepath.Join(o.out, m.name), m.report, report.Options{}); err != nil {
				return err
			}
		}
	}
	if len(o.names) > 0 {
		for _, m := range measured {
			if err := report.Text(os.Stdout, m.report, report.Options{Verbose: true}); err != nil {
				return err
			}
		}
		return nil
	}
	open := unsettled(measured)
	if err := settle(partHostcheck, write(measured), o.check, exactly); err != nil {
		open = append(open, err.Error())
	}
	if len(open) > 0 {
		return errors.New(strings.Join(open, "\n"))
	}
	return nil
}

// A measurement is what a host came to.
type measurement struct {
	host
	version string
	report  *hostcheck.Report
}

// measure runs the suite on the hosts: those that take a processor to start, in
// turn, and beside them the others, in turn. A scenario mostly waits.
func measure(ctx context.Context, chosen []host, bin, from string) ([]measurement, error) {
	measured := make([]measurement, len(chosen))
	failures := make([]error, len(chosen))
	var lanes sync.WaitGroup
	for _, slow := range []bool{true, false} {
		lanes.Go(func() {
			for i, h := range chosen {
				if ctx.Err() == nil && slow == (h.template != "" || h.agent != "") {
					measured[i], failures[i] = h.measure(ctx, bin, from)
				}
			}
		})
	}
	lanes.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return measured, errors.Join(failures...)
}

func (h host) measure(ctx context.Context, bin, from string) (m measurement, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", h.name, err)
		}
	}()
	m.host = h
	if m.version, err = h.installed(bin); err != nil {
		return m, err
	}
	if from != "" {
		raw, err := os.ReadFile(filepath.Join(from, h.name, "report.json")) //nolint:gosec // a folder of the caller's
		if err != nil {
			return m, err
		}
		m.report = new(hostcheck.Report)
		return m, json.Unmarshal(raw, m.report)
	}
	config, err := h.config(bin)
	if err != nil {
		return m, err
	}
	if m.report, err = hostcheck.Run(ctx, config); err != nil {
		return m, err
	}
	fmt.Fprintf(os.Stderr, "%s: %d scenarios in %v\n", h.name, len(m.report.Results), m.report.Took.Round(time.Second))
	return m, nil
}
