package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// striker carries one fault out, from its beginning to its end. It returns how
// many it met.
type striker func(p *play, ctx context.Context, f scenario.Fault) (met int, err error)

// strikers are the verbs that can be played on real processes.
var strikers = map[string]striker{
	"kill": (*play).kill, "power": (*play).power, "pause": (*play).pause,
	"cut": (*play).cut, "isolate": (*play).isolate, "split": (*play).split, "bridge": (*play).bridge, "lossy": (*play).lossy, "stall": (*play).stall,
	"fault": (*play).fault, "slow": (*play).slow, "fill": (*play).fill,
	"transfer": (*play).transfer, "move": (*play).move, "alter": (*play).alter, "resize": (*play).resize,
}

// notHere are verbs that need what a real machine does not give.
var notHere = map[string]string{
	"clock":  "a process's clock cannot be moved without moving everybody's",
	"rot":    "a page that rots below a running process needs a device of our own; the simulated world does it",
	"lie":    "what brokers hear of each other is theirs; the simulated world says what it likes",
	"lose":   "a broker whose directory is lost stays out, and the scenario has nobody to put in its place",
	"swap":   "see lose",
	"join":   "the network has a host for each broker of the beginning, and no other",
	"retire": "see join",
	"trim":   "what is trimmed while it is read is judged in the simulated world",
}

// strike carries a fault out, and counts it.
func (p *play) strike(ctx context.Context, f scenario.Fault) {
	do := strikers[f.Verb]
	if do == nil {
		p.mu.Lock()
		p.report.NotRun[f.Verb] = notHere[f.Verb]
		p.mu.Unlock()
		return
	}
	met, err := do(p, ctx, f)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, errNoTool):
		p.report.NotRun[f.Verb] = err.Error()
	case err != nil && ctx.Err() == nil:
		p.errs = append(p.errs, fmt.Errorf("%s: %w", f, err))
	case met == 0:
		p.report.Missed[f.Verb]++
	default:
		p.report.Met[f.Verb] += met
	}
}

// errNoTool says that this machine lacks what a fault needs.
var errNoTool = errors.New("this machine lacks a tool")

// hold takes a broker's process for oneself; ok is false when another fault has
// it, or none runs.
func (p *play) hold(b *Broker) (release func(), ok bool) {
	mu := p.busy[b]
	if !mu.TryLock() {
		return nil, false
	}
	if b.PID() == 0 {
		mu.Unlock()
		return nil, false
	}
	return mu.Unlock, true
}

// intn is chance, from any goroutine.
func (p *play) intn(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chance.IntN(n)
}

func (p *play) shuffled(list []*Broker) []*Broker {
	list = slices.Clone(list)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// targets are the brokers that an argument names, as the cluster is now.
func (p *play) targets(ctx context.Context, arg string) []*Broker {
	all := p.shuffled(p.cluster.Brokers)
	n := len(all)
	switch arg {
	case "all":
		return all
	case "most":
		return all[:n/2+1]
	case "minority":
		return all[:(n-1)/2]
	case "leader", "follower":
		if b := p.role(ctx, arg == "leader"); b != nil {
			return []*Broker{b}
		}
	}
	if b := p.cluster.Node(arg); b != nil {
		return []*Broker{b}
	}
	return all[:1]
}

// roleWithin is how long a fault asks who leads. Later it takes anybody.
const roleWithin = 2 * time.Second

// role is a broker that leads some partition, or follows in it; nil when nobody
// says.
func (p *play) role(ctx context.Context, leads bool) *Broker {
	tp, d, err := p.partition(ctx)
	if err != nil || d.Leader == "" {
		return nil
	}
	if leads {
		return p.cluster.Node(string(d.Leader))
	}
	for _, n := range d.Replicas {
		if n != d.Leader && p.intn(len(d.Replicas)) > 0 {
			return p.cluster.Node(string(n))
		}
	}
	_ = tp
	return nil
}

// partition is any partition, and what is known of it now.
func (p *play) partition(ctx context.Context) (codec.TopicPartition, codec.PartitionDescription, error) {
	ctx, cancel := context.WithTimeout(ctx, roleWithin)
	defer cancel()
	t := p.topics[p.intn(len(p.topics))]
	d, err := p.look.topic(ctx, t.name)
	if err != nil {
		return codec.TopicPartition{}, codec.PartitionDescription{}, err
	}
	if len(d.Partitions) == 0 {
		return codec.TopicPartition{}, codec.PartitionDescription{}, fmt.Errorf("%s has no partitions", t.name)
	}
	one := d.Partitions[p.intn(len(d.Partitions))]
	return codec.TopicPartition{Topic: t.name, Partition: one.Partition}, one, nil
}
