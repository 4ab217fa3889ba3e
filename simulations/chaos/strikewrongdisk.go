package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// A process that is started on a disk which is not its own: it must refuse, and say why.

// refusesWithin is how long it may take to do so.
const refusesWithin = 20 * time.Second

// swap starts two brokers on each other's directory, and then on their own again.
func (p *play) swap(ctx context.Context, f scenario.Fault) (int, error) {
	two := p.shuffled(p.cluster.Brokers)
	if len(two) < 2 {
		return 0, nil
	}
	one, other := two[0], two[1]
	release, ok := p.hold(one)
	if !ok {
		return 0, nil
	}
	defer release()
	releaseOther, ok := p.hold(other)
	if !ok {
		return 0, nil
	}
	defer releaseOther()
	if err := errors.Join(one.Kill(), other.Kill()); err != nil {
		return 0, err
	}
	one.Dir, other.Dir = other.Dir, one.Dir
	err := errors.Join(p.refuses(ctx, one), p.refuses(ctx, other))
	one.Dir, other.Dir = other.Dir, one.Dir
	_ = wait(ctx, f.For(downDefault))
	return 1, errors.Join(err, one.Start(ctx), other.Start(ctx))
}

// lose starts a broker on an empty directory, as where its disk is not mounted, and
// then on its own again.
func (p *play) lose(ctx context.Context, f scenario.Fault) (int, error) {
	return p.each(p.targets(ctx, f.Args[0]), func(b *Broker) error {
		if err := b.Kill(); err != nil {
			return err
		}
		its := b.Dir
		b.Dir += ".empty"
		err := p.refuses(ctx, b)
		err = errors.Join(err, os.RemoveAll(b.Dir))
		b.Dir = its
		_ = wait(ctx, f.For(downDefault))
		return errors.Join(err, b.Start(ctx))
	})
}

// refuses starts a process that is not to become ready: it ends by itself, or waits and
// is ended, and has said why.
func (p *play) refuses(ctx context.Context, b *Broker) error {
	ctx, cancel := context.WithTimeout(ctx, refusesWithin)
	defer cancel()
	if err := b.Begin(); err != nil {
		return err
	}
	if b.Await(ctx) == nil {
		return errors.Join(fmt.Errorf("%s served on a disk that is not its own", b.Node), b.Kill())
	}
	runs := b.Runs()
	err := b.KillRefused()
	if !saysWhy(runs, b.Said(), b.Said()) {
		err = errors.Join(err, fmt.Errorf("%s does not serve on a disk that is not its own, and does not say why:\n%s", b.Node, b.Said()))
	}
	return err
}
