package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// TwoBrokers starts a second broker on the directory of one at work: it must
// be refused with one line that says why, and exit code 1, and the first must
// not notice. It returns the line.
func TwoBrokers(ctx context.Context, o Options) (r Report, line string, err error) {
	s, err := newStage(ctx, o, topics)
	if err != nil {
		return r, "", err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.produce(ctx); err != nil {
		return r, "", err
	}
	if err := s.await(ctx, s.rec.afterAcked(100), "answers before the second broker"); err != nil {
		return s.report, "", err
	}
	line, err = s.second(ctx)
	if err != nil {
		return s.report, line, err
	}
	if err := s.await(ctx, s.rec.afterAcked(ackedMax), "answers after the second broker"); err != nil {
		return s.report, line, err
	}
	r, err = s.finish(ctx)
	return r, line, err
}

func (s *stage) second(ctx context.Context) (string, error) {
	address, err := freeAddress()
	if err != nil {
		return "", err
	}
	out, log, exit, err := s.broker.Run(ctx, "serve", "--data", s.broker.Dir, "--node", "chaos", "--listen", address, "--http=")
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(log)
	if exit != 1 || out != "" || strings.Contains(line, "\n") {
		return line, fmt.Errorf("a second broker on the directory: want one line and exit code 1, got %d, %q and %q", exit, out, log)
	}
	return line, nil
}
