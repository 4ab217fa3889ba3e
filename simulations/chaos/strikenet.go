package chaos

import (
	"context"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// Faults of cables. Clients are behind a cable too: who is isolated, they do not
// reach either.

// badDefault is how long a cable is bad when a fault does not say.
const badDefault = 2 * time.Second

// lasting waits for the end of a fault that was laid, and lifts it.
func lasting(ctx context.Context, f scenario.Fault, lifts ...func()) (int, error) {
	_ = wait(ctx, f.For(badDefault))
	for _, lift := range lifts {
		lift()
	}
	return min(len(lifts), 1), nil
}

// cut lets nothing through, one way.
func (p *play) cut(ctx context.Context, f scenario.Fault) (int, error) {
	var lifts []func()
	for _, from := range p.targets(ctx, f.Args[0]) {
		for _, to := range p.targets(ctx, f.Args[1]) {
			if from != to {
				lifts = append(lifts, p.ways.lay(from.Host, to.Host, Way{Cut: true}))
			}
		}
	}
	return lasting(ctx, f, lifts...)
}

func (p *play) isolate(ctx context.Context, f scenario.Fault) (int, error) {
	return p.around(ctx, f, Way{Cut: true})
}

func (p *play) stall(ctx context.Context, f scenario.Fault) (int, error) {
	return p.around(ctx, f, Way{Stalled: true})
}

func (p *play) lossy(ctx context.Context, f scenario.Fault) (int, error) {
	return p.around(ctx, f, Way{Loss: f.Float("loss"), Double: f.Float("double"), Garbled: f.Float("garbled"),
		Mixed: f.With["mixed"] != "", Slow: f.Duration("slow", 5*time.Millisecond)})
}

// around makes all cables of brokers bad.
func (p *play) around(ctx context.Context, f scenario.Fault, bad Way) (int, error) {
	var lifts []func()
	for _, b := range p.targets(ctx, f.Args[0]) {
		lifts = append(lifts, p.ways.around(b.Host, bad))
	}
	return lasting(ctx, f, lifts...)
}

// split cuts the brokers into two parts.
func (p *play) split(ctx context.Context, f scenario.Fault) (int, error) {
	all := p.shuffled(p.cluster.Brokers)
	n := 1 + p.intn(len(all)-1)
	return lasting(ctx, f, p.apart(all[:n], all[n:])...)
}

// bridge cuts them into two parts, but for one that hears both.
func (p *play) bridge(ctx context.Context, f scenario.Fault) (int, error) {
	all := p.shuffled(p.cluster.Brokers)
	half := len(all) / 2
	return lasting(ctx, f, p.apart(all[:half], all[half+1:])...)
}

func (p *play) apart(one, other []*Broker) (lifts []func()) {
	for _, a := range one {
		for _, b := range other {
			lifts = append(lifts, p.ways.lay(a.Host, b.Host, Way{Cut: true}), p.ways.lay(b.Host, a.Host, Way{Cut: true}))
		}
	}
	return lifts
}
