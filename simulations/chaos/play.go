package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
	"github.com/troupe-mq/troupe/simulations/check"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// PlayReport is what happened when a scenario was played, for people.
type PlayReport struct {
	Met     map[string]int    // faults by verb that met somebody
	Missed  map[string]int    // that met nobody: who they were for was down already, for instance
	NotRun  map[string]string // verbs that cannot be played here, and why
	Acked   int               // records
	Unknown int
	Failed  int
	Audited int
	Took    time.Duration
}

// String is the report in a line.
func (r PlayReport) String() string {
	var faults []string
	for _, v := range slices.Sorted(maps.Keys(r.Met)) {
		faults = append(faults, fmt.Sprintf("%s %d", v, r.Met[v]))
	}
	for _, v := range slices.Sorted(maps.Keys(r.NotRun)) {
		faults = append(faults, "NOT RUN: "+v)
	}
	return fmt.Sprintf("%d records acked, %d unknown, %d failed, %d audited; %s; %.0f s", r.Acked, r.Unknown, r.Failed, r.Audited, strings.Join(faults, ", "), r.Took.Seconds())
}

// play is a scenario on real processes.
type play struct {
	plan    scenario.Scenario
	cluster *Cluster
	ways    *ways
	rec     *recorder
	load    *load
	pollers []*poller
	admin   *client.Client
	look    *look
	topics  []topic
	busy    map[*Broker]*sync.Mutex // held by whoever starts, ends or traces its process
	begun   time.Time

	noSmallDisks error // why no disk can be filled

	mu     sync.Mutex
	chance *rand.Rand
	report PlayReport
	errs   []error
}

// pace is how often a producer of a play sends: what it acknowledges is to be
// many, and judging it is to be quick.
const pace = 2 * time.Millisecond

// Play plays a scenario: o.Seed gives each fault its moment. All brokers are well
// in the end, everything acknowledged is there, once and in order, and nothing was
// invented; else it is an error.
func Play(ctx context.Context, o Options, s scenario.Scenario) (r PlayReport, err error) {
	chance := rand.New(rand.NewPCG(o.Seed, 0))
	p := &play{plan: s.Plan(chance), chance: chance, rec: newRecorder(), busy: map[*Broker]*sync.Mutex{}, begun: time.Now(),
		report: PlayReport{Met: map[string]int{}, Missed: map[string]int{}, NotRun: map[string]string{}}}
	lan, err := NewLan(rand.New(rand.NewPCG(o.Seed, 1)), append(NodeNames(s.Nodes), Clients)...)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lan.Close()) }()
	p.ways = newWays(lan)
	if p.cluster, err = NewCluster(ctx, o.Binary, o.Dir, s.Nodes, lan); err != nil {
		return r, err
	}
	for _, b := range p.cluster.Brokers {
		p.busy[b] = &sync.Mutex{}
	}
	unmount, err := p.smallDisks()
	defer func() { err = errors.Join(err, p.cluster.Kill(), unmount()) }()
	if err != nil {
		return r, err
	}
	err = p.run(ctx, o.Seed)
	p.report.Took = time.Since(p.begun)
	if err != nil {
		err = errors.Join(err, p.lastWords())
	}
	return p.report, err
}

func (p *play) run(ctx context.Context, seed uint64) error {
	if err := p.cluster.Start(ctx); err != nil {
		return err
	}
	if err := p.prepare(ctx, seed); err != nil {
		return errors.Join(err, p.endLoad())
	}
	defer p.admin.Close()
	p.look = newLook(p.cluster)
	defer p.look.close()
	p.strikeAll(ctx)
	if err := errors.Join(p.recover(ctx), errors.Join(p.errs...)); err != nil {
		return errors.Join(err, p.endLoad())
	}
	return errors.Join(p.endLoad(), p.judge(ctx))
}

// prepare makes the topics and begins the load.
func (p *play) prepare(ctx context.Context, seed uint64) (err error) {
	from := p.cluster.servers()
	p.load = newLoad(p.rec, from, seed)
	p.load.pace = pace
	if p.admin, err = from.client(ctx, "chaos-admin"); err != nil {
		return err
	}
	for _, t := range p.plan.Topics {
		_, err := p.admin.CreateTopic(ctx, codec.CreateTopic{Topic: codec.Topic(t.Name), Partitions: int32(t.Partitions), Replicas: int32(t.Replicas), Settings: t.Settings})
		if err != nil {
			return fmt.Errorf("create %s: %w", t.Name, err)
		}
		p.topics = append(p.topics, topic{codec.Topic(t.Name), t.Partitions, t.Settings})
	}
	for i := range p.plan.Load.Producers {
		if err := p.load.start(ctx, p.topics[i%len(p.topics)], 4, (*sender).batches); err != nil {
			return err
		}
	}
	for i := range p.plan.Load.Idempotent {
		if err := p.load.start(ctx, p.topics[i%len(p.topics)], 100, (*sender).again); err != nil {
			return err
		}
	}
	for i := range p.plan.Load.Readers {
		r, err := startPoller(ctx, p.rec, from, fmt.Sprintf("poller-%d", i), p.topics, true)
		if err != nil {
			return err
		}
		p.pollers = append(p.pollers, r)
	}
	return nil
}

// strikeAll lets each fault come at its moment, and returns when the last is over.
func (p *play) strikeAll(ctx context.Context) {
	var striking sync.WaitGroup
	begun := time.Now()
	for _, f := range p.plan.Faults {
		if wait(ctx, f.At-time.Since(begun)) != nil {
			break
		}
		striking.Go(func() { p.strike(ctx, f) })
	}
	_ = wait(ctx, p.plan.Lasts-time.Since(begun))
	striking.Wait()
}

// recoverWithin is how long a cluster may take to be whole again when nothing is
// wrong any more.
const recoverWithin = 90 * time.Second

// recover waits until every replica is in sync and producers are heard again.
func (p *play) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverWithin)
	defer cancel()
	for _, b := range p.cluster.Brokers {
		if b.PID() == 0 {
			if err := b.Start(ctx); err != nil {
				return fmt.Errorf("start %s at the end: %w", b.Node, err)
			}
		}
	}
	for _, t := range p.topics {
		if err := p.inSync(ctx, t); err != nil {
			return err
		}
	}
	select {
	case <-p.rec.afterAcked(100):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for answers at the end: %w", ctx.Err())
	}
}

func (p *play) inSync(ctx context.Context, t topic) error {
	var last error
	for {
		d, err := p.look.topic(ctx, t.name)
		if err == nil {
			if err = whole(d); err == nil {
				return nil
			}
		}
		last = err
		if wait(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s is not whole %v after the last fault: %w", t.name, recoverWithin, last)
		}
	}
}

// whole says which partition has no leader, or a replica behind.
func whole(d codec.TopicDescription) error {
	for _, one := range d.Partitions {
		if one.Leader == "" || len(one.InSync) != len(one.Replicas) {
			return fmt.Errorf("partition %d: leader %q, in sync %v of %v", one.Partition, one.Leader, one.InSync, one.Replicas)
		}
	}
	return nil
}

func (p *play) endLoad() error {
	var errs []error
	if p.load != nil {
		errs = append(errs, p.load.end())
	}
	for _, r := range p.pollers {
		errs = append(errs, r.end())
	}
	p.pollers = nil
	return errors.Join(errs...)
}

// allowed are what clients may be told while things go wrong.
var allowed = []codec.Code{codec.Unavailable, codec.NotLeader, codec.Unknown, codec.Stopping, codec.DiskFull, codec.DiskFailed, codec.Overloaded, codec.TimedOut}

// judge reads everything, and holds it against what was sent.
func (p *play) judge(ctx context.Context) error {
	if err := audit(ctx, p.rec, p.cluster.servers(), auditSession, p.topics); err != nil {
		return err
	}
	h, codes := p.rec.history()
	p.count(h)
	errs := []error{judgeCluster(h), unexpected(codes, p.rec, allowed...)}
	for _, b := range p.cluster.Brokers {
		if lines := b.Panics(); len(lines) > 0 {
			errs = append(errs, fmt.Errorf("%s panicked: %s", b.Node, lines[0]))
		}
	}
	return errors.Join(errs...)
}

func (p *play) count(h check.History) {
	for i := range h.Reads {
		if h.Reads[i].Session == auditSession {
			p.report.Audited++
		}
	}
	for i := range h.Produces {
		switch h.Produces[i].Outcome {
		case check.OK:
			p.report.Acked++
		case check.Failed:
			p.report.Failed++
		case check.Unknown:
			p.report.Unknown++
		}
	}
}

// lastWords are those of each broker, in an error.
func (p *play) lastWords() error {
	var errs []error
	for _, b := range p.cluster.Brokers {
		errs = append(errs, fmt.Errorf("last words of %s:\n%s", b.Node, b.LastWords()))
	}
	return errors.Join(errs...)
}

// smallDisks mounts a file system of its own for each broker's directory, when a
// fault is to fill it.
func (p *play) smallDisks() (unmount func() error, err error) {
	var mounted []string
	unmount = func() error {
		var errs []error
		for _, dir := range mounted {
			errs = append(errs, unmountTmpfs(dir))
		}
		return errors.Join(errs...)
	}
	if !slices.ContainsFunc(p.plan.Faults, func(f scenario.Fault) bool { return f.Verb == "fill" }) {
		return unmount, nil
	}
	for _, b := range p.cluster.Brokers {
		if err := os.MkdirAll(b.Dir, 0o750); err != nil {
			return unmount, err
		}
		if err := mountTmpfs(b.Dir); err != nil {
			p.noSmallDisks = err
			return unmount, nil
		}
		mounted = append(mounted, b.Dir)
		b.Dir = filepath.Join(b.Dir, "data")
	}
	return unmount, nil
}
