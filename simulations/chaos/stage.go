package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
	"github.com/troupe-mq/troupe/simulations/check"
)

// Options of a scenario.
type Options struct {
	Binary string // the broker, see Build
	Dir    string // an empty directory; the data directory is made in it
	Seed   uint64 // of everything that the scenario chooses
	Rounds int    // of what it does again and again

	afterKill func(round int, data string) error // does what only a test would
}

// Report is what happened in a scenario, for people.
type Report struct {
	Lives        int // processes started
	Cut          int // of them, killed before they were ready
	Acked        int // records
	AckedBytes   int64
	Unknown      int // records whose outcome the client does not know
	UnknownThere int // of them, found in the log
	Failed       int // records known not to be stored
	Read         int // by all sessions
	Audited      int // by the last, which reads all
	Verified     int // runs of `log verify`
	Torn         int // logs that these found with a torn end
	SlowestReady time.Duration
	SlowestStop  time.Duration
	Seconds      float64
}

// String is the report in a line.
func (r Report) String() string {
	return fmt.Sprintf("%d lives (%d cut while opening), slowest ready %v, slowest stop %v; records: %d acked (%d MB), %d unknown (%d of them there), %d failed, %d read, %d audited; log verify %d times (%d torn ends); %.1f s",
		r.Lives, r.Cut, r.SlowestReady.Round(time.Millisecond), r.SlowestStop.Round(time.Millisecond), r.Acked, r.AckedBytes/1e6, r.Unknown, r.UnknownThere, r.Failed, r.Read, r.Audited, r.Verified, r.Torn, r.Seconds)
}

// stage is a broker with topics, producers and a poller.
type stage struct {
	broker *Broker
	topics []topic
	rec    *recorder
	load   *load
	poller *poller
	chance *rand.Rand
	report Report
	begun  time.Time
}

// topics of most scenarios. Segments are small, so that they end often.
var topics = []topic{
	{"orders", 4, map[string]string{"segment.bytes": "2MiB"}},
	{"clicks", 2, map[string]string{"segment.bytes": "1MiB", "durability": "os"}},
}

// newStage starts a broker and creates the topics.
func newStage(ctx context.Context, o Options, topics []topic) (*stage, error) {
	b, err := NewBroker(o.Binary, filepath.Join(o.Dir, "data"))
	if err != nil {
		return nil, err
	}
	s := &stage{broker: b, topics: topics, rec: newRecorder(), chance: rand.New(rand.NewPCG(o.Seed, 0)), begun: time.Now()}
	s.load = newLoad(s.rec, at(b.Address), o.Seed)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.end())
	}
	c, err := client.Dial(ctx, []string{b.Address}, client.Options{Name: "chaos"})
	if err != nil {
		return nil, errors.Join(err, s.end())
	}
	defer c.Close()
	for _, t := range topics {
		if _, err := c.CreateTopic(ctx, codec.CreateTopic{Topic: t.name, Partitions: int32(t.partitions), Settings: t.settings}); err != nil {
			return nil, errors.Join(fmt.Errorf("create %s: %w", t.name, err), s.end())
		}
	}
	return s, nil
}

// produce starts the producers and the poller.
func (s *stage) produce(ctx context.Context) (err error) {
	for _, t := range s.topics {
		for range 2 {
			if err := errors.Join(s.load.start(ctx, t, 8, (*sender).batches), s.load.start(ctx, t, 200, (*sender).records), s.load.start(ctx, t, 200, (*sender).again)); err != nil {
				return err
			}
		}
	}
	s.poller, err = startPoller(ctx, s.rec, at(s.broker.Address), "poller", s.topics, false)
	return err
}

func (s *stage) start(ctx context.Context) error {
	err := s.broker.Start(ctx)
	s.report.Lives++
	s.report.SlowestReady = max(s.report.SlowestReady, s.broker.Ready)
	return err
}

// await waits for one of the recorder's events.
func (s *stage) await(ctx context.Context, event <-chan struct{}, what string) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w; the broker's last words:\n%s", what, ctx.Err(), s.broker.LastWords())
	}
}

// verify runs `log verify` on the directory of a broker that does not run.
func (s *stage) verify(ctx context.Context) error {
	out, log, exit, err := s.broker.Run(ctx, "log", "verify", s.broker.Dir)
	if err != nil {
		return err
	}
	if exit != 0 {
		return fmt.Errorf("log verify ended with %d: %s%s", exit, out, log)
	}
	s.report.Verified++
	s.report.Torn += strings.Count(out, "torn end")
	return nil
}

// finish ends the load, reads everything to the end and judges.
func (s *stage) finish(ctx context.Context, allowed ...codec.Code) (Report, error) {
	errs := []error{s.load.end()}
	if s.poller != nil {
		errs = append(errs, s.poller.end())
		s.poller = nil
	}
	audited := audit(ctx, s.rec, at(s.broker.Address), auditSession, s.topics)
	h, codes := s.rec.history()
	if audited == nil { // else all that it did not read would be called lost
		audited = judge(h)
	}
	// A producer that was told to stop while it waited sent nothing.
	errs = append(errs, audited, unexpected(codes, s.rec, append(allowed, codec.TimedOut)...))
	if lines := s.broker.Errors(); len(lines) > 0 {
		errs = append(errs, fmt.Errorf("the broker's log has %d errors, the first: %s", len(lines), lines[0]))
	}
	s.count(h)
	return s.report, errors.Join(errs...)
}

func (s *stage) count(h check.History) {
	r := &s.report
	there := map[uint64]bool{}
	for i := range h.Reads {
		r.Read++
		if h.Reads[i].Session == auditSession {
			r.Audited++
			there[h.Reads[i].Token] = true
		}
	}
	for i := range h.Produces {
		switch p := &h.Produces[i]; p.Outcome {
		case check.OK:
			r.Acked++
		case check.Failed:
			r.Failed++
		case check.Unknown:
			r.Unknown++
			if there[p.Token] {
				r.UnknownThere++
			}
		}
	}
	r.AckedBytes, r.Seconds = s.rec.bytes, time.Since(s.begun).Seconds()
}

// end leaves nothing running.
func (s *stage) end() error {
	err := s.broker.Kill()
	_ = s.load.end() // finish told of its errors
	if s.poller != nil {
		_ = s.poller.end()
	}
	return err
}
