package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads a scenario. A line is a comment, or one of
//
//	nodes N
//	topic NAME partitions=N replicas=N SETTING=VALUE...
//	load producers=N idempotent=N readers=N
//	lasts DURATION
//	swarm
//	at DURATION FAULT...
//	every DURATION..DURATION FAULT...
//
// where FAULT is a verb of Verbs with its arguments and keys.
func Parse(name, text string) (Scenario, error) {
	s := Scenario{Name: name}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			if s.Nodes == 0 {
				s.About += strings.TrimSpace(comment) + "\n"
			}
			continue
		}
		if words := strings.Fields(line); len(words) > 0 {
			if err := s.line(words); err != nil {
				return s, fmt.Errorf("scenario %s, line %d: %w", name, number, err)
			}
		}
	}
	if s.Nodes < 1 || s.Lasts <= 0 || len(s.Topics) == 0 {
		return s, fmt.Errorf("scenario %s: it needs nodes, a topic and how long it lasts", name)
	}
	for _, f := range s.Faults {
		if err := f.check(s.Nodes); err != nil {
			return s, fmt.Errorf("scenario %s: %s: %w", name, f, err)
		}
	}
	return s, nil
}

func (s *Scenario) line(words []string) (err error) {
	rest := words[1:]
	switch words[0] {
	case "nodes":
		if len(rest) != 1 {
			return fmt.Errorf("want nodes N")
		}
		s.Nodes, err = strconv.Atoi(rest[0])
	case "lasts":
		if len(rest) != 1 {
			return fmt.Errorf("want lasts DURATION")
		}
		s.Lasts, err = time.ParseDuration(rest[0])
	case "swarm":
		if len(rest) != 0 {
			return fmt.Errorf("want swarm alone")
		}
		s.Swarm = true
	case "topic":
		err = s.topic(rest)
	case "load":
		err = s.load(rest)
	case "at", "every":
		err = s.fault(words)
	default:
		err = fmt.Errorf("%q is no word of a scenario", words[0])
	}
	return err
}

func (s *Scenario) topic(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("a topic needs a name")
	}
	t := Topic{Name: words[0], Partitions: 1, Replicas: min(3, max(1, s.Nodes))}
	_, keys, err := split(words[1:])
	if err != nil {
		return err
	}
	for k, v := range keys {
		switch k {
		case "partitions":
			t.Partitions, err = strconv.Atoi(v)
		case "replicas":
			t.Replicas, err = strconv.Atoi(v)
		default:
			if t.Settings == nil {
				t.Settings = map[string]string{}
			}
			t.Settings[k] = v
		}
		if err != nil {
			return err
		}
	}
	s.Topics = append(s.Topics, t)
	return nil
}

func (s *Scenario) load(words []string) error {
	_, keys, err := split(words)
	if err != nil {
		return err
	}
	for k, v := range keys {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%q: want a number", k, v)
		}
		switch k {
		case "producers":
			s.Load.Producers = n
		case "idempotent":
			s.Load.Idempotent = n
		case "readers":
			s.Load.Readers = n
		default:
			return fmt.Errorf("no load %q", k)
		}
	}
	return nil
}

func (s *Scenario) fault(words []string) (err error) {
	if len(words) < 3 {
		return fmt.Errorf("want %s TIME FAULT", words[0])
	}
	f := Fault{Verb: words[2]}
	if words[0] == "at" {
		f.At, err = time.ParseDuration(words[1])
	} else {
		f.From, f.To, err = span(words[1])
		if err == nil && f.To <= 0 {
			err = fmt.Errorf("every %s: want FROM..TO", words[1])
		}
	}
	if err == nil {
		f.Args, f.With, err = split(words[3:])
	}
	s.Faults = append(s.Faults, f)
	return err
}

// span reads FROM..TO.
func span(s string) (from, to time.Duration, err error) {
	least, most, ok := strings.Cut(s, "..")
	if !ok {
		return 0, 0, fmt.Errorf("%q: want FROM..TO", s)
	}
	if from, err = time.ParseDuration(least); err != nil {
		return 0, 0, err
	}
	to, err = time.ParseDuration(most)
	if err == nil && to < from {
		err = fmt.Errorf("%q ends before it begins", s)
	}
	return from, to, err
}

// split tells arguments from keys.
func split(words []string) (args []string, with map[string]string, err error) {
	for _, w := range words {
		k, v, keyed := strings.Cut(w, "=")
		if !keyed {
			args = append(args, w)
			continue
		}
		if with == nil {
			with = map[string]string{}
		}
		if _, twice := with[k]; twice || k == "" {
			return nil, nil, fmt.Errorf("%q: said twice, or without a key", w)
		}
		with[k] = v
	}
	return args, with, nil
}
