package chaos

import (
	"context"
	"slices"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/scenario"
)

// Faults that are none: what an operator does, at any moment. That the cluster
// refuses, while other things go wrong, is no fault of it.

// transfer asks a leader to hand over.
func (p *play) transfer(ctx context.Context, _ scenario.Fault) (int, error) {
	tp, d, err := p.partition(ctx)
	if err != nil || len(d.Replicas) < 2 {
		return 0, nil
	}
	to := d.Replicas[p.intn(len(d.Replicas))]
	if to == d.Leader {
		to = d.Replicas[(slices.Index(d.Replicas, to)+1)%len(d.Replicas)]
	}
	return p.asked(ctx, func(ctx context.Context) error { return p.admin.Transfer(ctx, tp, to) })
}

// move puts a replica on another broker, or, where all have one, another first.
func (p *play) move(ctx context.Context, _ scenario.Fault) (int, error) {
	tp, d, err := p.partition(ctx)
	if err != nil || len(d.Replicas) == 0 {
		return 0, nil
	}
	replicas := min(3, len(p.cluster.Brokers)) // while one is moving there are more
	var nodes []codec.NodeID
	for _, b := range p.shuffled(p.cluster.Brokers)[:replicas] {
		nodes = append(nodes, codec.NodeID(b.Node))
	}
	return p.asked(ctx, func(ctx context.Context) error { return p.admin.ChangeReplicas(ctx, tp, nodes) })
}

// alter changes a setting.
func (p *play) alter(ctx context.Context, _ scenario.Fault) (int, error) {
	t := p.topics[p.intn(len(p.topics))]
	values := []string{"1d", "2d", "7d"}
	set := map[string]string{"retention.time": values[p.intn(len(values))]}
	return p.asked(ctx, func(ctx context.Context) error {
		_, err := p.admin.AlterTopic(ctx, codec.AlterTopic{Topic: t.name, Settings: set})
		return err
	})
}

// resize gives a topic another number of replicas. Of one that it has alone, a disk
// that fails would take all: two is the least.
func (p *play) resize(ctx context.Context, _ scenario.Fault) (int, error) {
	if len(p.cluster.Brokers) < 2 {
		return 0, nil
	}
	t := p.topics[p.intn(len(p.topics))]
	n := int32(2 + p.intn(len(p.cluster.Brokers)-1))
	return p.asked(ctx, func(ctx context.Context) error {
		_, err := p.admin.AlterTopic(ctx, codec.AlterTopic{Topic: t.name, Replicas: n})
		return err
	})
}

// asked counts what was carried out.
func (p *play) asked(ctx context.Context, do func(context.Context) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, roleWithin)
	defer cancel()
	if do(ctx) != nil {
		return 0, nil
	}
	return 1, nil
}
