package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// Blow is something that is done to the leader of a partition, of which a
// producer sees a pause.
type Blow struct {
	Name string
	Lan  bool // it needs cables
	// strike does it, and returns what undoes it.
	strike func(p *pausing, ctx context.Context, leader *Broker) (undo func(context.Context) error, err error)
}

// Blows are those that are measured, the quiet one first.
var Blows = []Blow{
	{Name: "quiet", strike: func(*pausing, context.Context, *Broker) (func(context.Context) error, error) { return nil, nil }},
	{Name: "move", strike: (*pausing).moveLeader},
	{Name: "SIGTERM", strike: func(_ *pausing, _ context.Context, b *Broker) (func(context.Context) error, error) {
		return b.Start, b.Stop(StopWithin)
	}},
	{Name: "kill -9", strike: func(_ *pausing, _ context.Context, b *Broker) (func(context.Context) error, error) {
		return b.Start, b.Kill()
	}},
	{Name: "SIGSTOP", strike: func(_ *pausing, _ context.Context, b *Broker) (func(context.Context) error, error) {
		return func(context.Context) error { return b.Signal(syscall.SIGCONT) }, b.Signal(syscall.SIGSTOP)
	}},
	{Name: "cut", Lan: true, strike: (*pausing).cutLeader},
}

// pauseTopic has one partition, with a replica on each of three brokers.
const pauseTopic = "steady"

// What a window of a pause is: so much after the blow, and as long as nothing is
// answered.
const (
	pauseWindow = 500 * time.Millisecond
	pauseCalm   = 50 // records in a row
	pauseWithin = 60 * time.Second
)

// pausing is a cluster whose pauses are measured.
type pausing struct {
	cluster *Cluster
	client  *client.Client
	look    *look
	steady  *steady
}

// Pauses is how long records took that were sent while something was done to the
// leader, the longest of each time.
type Pauses struct {
	Blow  string
	Times []time.Duration // sorted
}

// At is a quantile.
func (p Pauses) At(q float64) time.Duration {
	if len(p.Times) == 0 {
		return 0
	}
	return p.Times[min(len(p.Times)-1, int(q*float64(len(p.Times))))]
}

// String is a line of the table.
func (p Pauses) String() string {
	return fmt.Sprintf("%-8s %4d times  p50 %6.0f ms  p99 %6.0f ms  max %6.0f ms", p.Blow, len(p.Times),
		ms(p.At(0.5)), ms(p.At(0.99)), ms(p.At(1)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// MeasurePauses strikes the leader of a running cluster n times with each blow, the
// blows in turn, under a producer that sends a record every 2 ms and must see no
// error.
func MeasurePauses(ctx context.Context, c *Cluster, blows []Blow, n int, said func(string)) (all []Pauses, err error) {
	p := &pausing{cluster: c}
	if p.client, err = c.servers().client(ctx, "chaos-pauses"); err != nil {
		return nil, err
	}
	defer p.client.Close()
	p.look = newLook(c)
	defer p.look.close()
	if _, err := p.client.CreateTopic(ctx, codec.CreateTopic{Topic: pauseTopic}); err != nil {
		return nil, fmt.Errorf("create %s: %w", pauseTopic, err)
	}
	if p.steady, err = startSteady(ctx, c.servers(), pauseTopic, 2*time.Millisecond); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.steady.end(ctx)) }()
	for _, b := range blows {
		all = append(all, Pauses{Blow: b.Name})
	}
	for range n {
		for i, b := range blows {
			took, err := p.once(ctx, b)
			if err != nil {
				return all, fmt.Errorf("%s: %w", b.Name, err)
			}
			said(fmt.Sprintf("%s: %.0f ms", b.Name, ms(took)))
			all[i].Times = append(all[i].Times, took)
		}
	}
	for i := range all {
		slices.Sort(all[i].Times)
	}
	return all, nil
}

// once strikes, waits until all is calm again, and measures.
func (p *pausing) once(ctx context.Context, b Blow) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pauseWithin)
	defer cancel()
	leader, err := p.whole(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.steady.settled(ctx, pauseCalm, 100*time.Millisecond); err != nil {
		return 0, err
	}
	from := time.Now()
	undo, err := b.strike(p, ctx, leader)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(wait(ctx, pauseWindow), p.steady.settled(ctx, pauseCalm, time.Second)); err != nil {
		return 0, err
	}
	took := p.steady.pause(from, time.Now().Add(-pauseWindow/2))
	if undo != nil {
		if err := undo(ctx); err != nil {
			return 0, err
		}
	}
	return took, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whole waits until all replicas are in sync, and returns who leads.
func (p *pausing) whole(ctx context.Context) (*Broker, error) {
	var last error
	for {
		d, err := p.look.topic(ctx, pauseTopic)
		if err == nil && len(d.Partitions) == 1 {
			one := d.Partitions[0]
			if b := p.cluster.Node(string(one.Leader)); b != nil && len(one.InSync) == len(one.Replicas) && len(one.Replicas) == min(3, len(p.cluster.Brokers)) {
				return b, nil
			}
			err = fmt.Errorf("leader %q, in sync %v of %v", one.Leader, one.InSync, one.Replicas)
		}
		last = err
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for a whole partition: %w: %w", err, last)
		}
	}
}

// moveLeader hands leadership to another replica, as `cluster drain` does.
func (p *pausing) moveLeader(ctx context.Context, leader *Broker) (func(context.Context) error, error) {
	tp := codec.TopicPartition{Topic: pauseTopic}
	for i, b := range p.cluster.Brokers {
		if b == leader {
			to := p.cluster.Brokers[(i+1)%len(p.cluster.Brokers)]
			return nil, p.client.Transfer(ctx, tp, codec.NodeID(to.Node))
		}
	}
	return nil, fmt.Errorf("no broker %s", leader.Node)
}

// cutLeader pulls the leader's cable.
func (p *pausing) cutLeader(_ context.Context, leader *Broker) (func(context.Context) error, error) {
	p.cluster.isolate(leader, Way{Cut: true})
	return func(context.Context) error {
		p.cluster.isolate(leader, Way{})
		return nil
	}, nil
}

// isolate makes all ways to and from a broker's host like one.
func (c *Cluster) isolate(b *Broker, as Way) {
	for _, h := range c.Lan.hosts {
		if h != b.Host {
			c.Lan.Switch.Set(b.Host, h, as)
			c.Lan.Switch.Set(h, b.Host, as)
		}
	}
}

// PausesTable is what was measured, a line for each blow.
func PausesTable(all []Pauses) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}
