package chaos

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// Faults of processes.

// downDefault is how long a process is away when a fault does not say.
const downDefault = time.Second

// kill ends processes with SIGKILL, and starts them again later.
func (p *play) kill(ctx context.Context, f scenario.Fault) (int, error) {
	return p.each(p.targets(ctx, f.Args[0]), func(b *Broker) error { return p.down(ctx, b, f.For(downDefault)) })
}

// power ends all processes at once. What they had not fsynced is in the page cache
// still: a real loss of power is for the simulated world.
func (p *play) power(ctx context.Context, f scenario.Fault) (int, error) {
	return p.each(p.cluster.Brokers, func(b *Broker) error { return p.down(ctx, b, f.For(downDefault)) })
}

// down kills a process that is held, and starts it again.
func (p *play) down(ctx context.Context, b *Broker, for_ time.Duration) error {
	if err := b.Kill(); err != nil {
		return err
	}
	_ = wait(ctx, for_)
	return b.Start(ctx)
}

// pause stops a process, and lets it go on.
func (p *play) pause(ctx context.Context, f scenario.Fault) (int, error) {
	return p.each(p.targets(ctx, f.Args[0]), func(b *Broker) error {
		if err := b.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		_ = wait(ctx, f.For(downDefault))
		return b.Signal(syscall.SIGCONT)
	})
}

// each does something to each broker that can be held, at once, and counts them.
func (p *play) each(list []*Broker, do func(*Broker) error) (met int, err error) {
	var doing sync.WaitGroup
	errs := make([]error, len(list))
	for i, b := range list {
		release, ok := p.hold(b)
		if !ok {
			continue
		}
		met++
		doing.Go(func() {
			defer release()
			errs[i] = do(b)
		})
	}
	doing.Wait()
	return min(met, 1), errors.Join(errs...)
}
