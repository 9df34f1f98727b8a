package main

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

const (
	dayMillis        = 86400_000
	collectionMillis = 300_000
)

type label struct{ name, value string }

// How a value depends on the time.
type kind int

const (
	constant kind = iota
	timestamp
	age
)

type series struct {
	labels []label
	value  float64
	kind   kind
	// Interval of the events that a timestamp or an age refers to, in milliseconds.
	period int64
	// Milliseconds between samples.
	step int64
}

// Returns the value at the time t, both times in milliseconds.
func (s *series) at(t, end int64) float64 {
	if s.kind == constant {
		return s.value
	}
	event := int64(s.value * 1000)
	if s.kind == age {
		event = end - event
	}
	if event > t {
		event -= (event - t + s.period - 1) / s.period * s.period
	}
	if s.kind == age {
		return float64(t-event)/1000 + scrapeDelay(t)
	}
	return float64(event) / 1000
}

// Seconds between the time of a sample and the moment at which the exporter rendered it: less than
// 10 ms, and different for each scrape.
func scrapeDelay(t int64) float64 {
	return float64(uint64(t)*0x9E3779B97F4A7C15>>40) / (1 << 24) / 100
}

func compare(a, b []label) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if c := strings.Compare(a[i].name, b[i].name); c != 0 {
			return c
		}
		if c := strings.Compare(a[i].value, b[i].value); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// Reads the series of the input, sorted by their labels.
func read(input io.Reader, step, evaluation int64) ([]*series, error) {
	var all []*series
	known := map[string]string{}
	intern := func(text string) string {
		if _, found := known[text]; !found {
			known[text] = text
		}
		return known[text]
	}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := lines.Text(); line != "" && line[0] != '#' {
			s, err := parse(line, intern)
			if err != nil {
				return nil, fmt.Errorf("cannot parse %q: %w", line, err)
			}
			s.classify(step, evaluation)
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return compare(all[i].labels, all[j].labels) < 0 })
	return all, lines.Err()
}

// Parses a line of the text format.
func parse(line string, intern func(string) string) (*series, error) {
	brace := strings.IndexAny(line, "{ ")
	if brace < 0 {
		return nil, fmt.Errorf("no value")
	}
	labels := []label{{"__name__", intern(line[:brace])}}
	rest := line[brace:]
	if rest[0] == '{' {
		rest = rest[1:]
		for rest[0] != '}' {
			equals := strings.IndexByte(rest, '=')
			quoted, err := strconv.QuotedPrefix(rest[equals+1:])
			if err != nil {
				return nil, err
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			// Federation adds an empty label `instance`.
			if value != "" {
				labels = append(labels, label{intern(rest[:equals]), intern(value)})
			}
			rest = strings.TrimPrefix(rest[equals+1+len(quoted):], ",")
		}
		rest = rest[1:]
	}
	sort.Slice(labels, func(i, j int) bool { return labels[i].name < labels[j].name })
	value, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return &series{labels: labels, value: value}, err
}

func (s *series) classify(step, evaluation int64) {
	var name string
	for _, label := range s.labels {
		if label.name == "__name__" {
			name = label.value
		}
	}
	s.period, s.step = dayMillis, step
	if strings.Contains(name, ":") || strings.HasPrefix(name, "ALERTS") {
		s.step = evaluation
	}
	switch {
	case strings.HasSuffix(name, "_sync_age_seconds"), strings.HasSuffix(name, ":without_success_seconds"):
		s.kind = age
	case strings.HasSuffix(name, "timestamp_seconds"):
		s.kind = timestamp
		if strings.Contains(name, "last_seen") {
			s.period = evaluation
		} else if strings.Contains(name, "target") {
			s.period = collectionMillis
		}
	}
}
