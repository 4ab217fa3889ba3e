package actors

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/wal"
)

// This is the one file of the room that touches the real world: it hands the
// machine's clock, chance and disk to a broker, and lets a caller wait.

// realClock is the machine's clock.
type realClock struct{}

func (realClock) Now() codec.Millis { return codec.Millis(time.Now().UnixMilli()) }

func (realClock) After(d time.Duration, f func()) (cancel func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Start starts a broker on the data directory cfg.Dir, making it when it is
// not there, and returns when everything in it is open. Nothing listens: the
// program talks to the broker through its methods.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start broker: no data directory was given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	cfg.Dir = dir
	if err := wal.MakeDir(wal.OS{}, cfg.Dir); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if cfg.NodeDefault == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("start broker: no name was given and the host has none: %w", err)
		}
		cfg.NodeDefault = codec.NodeID(host)
	}
	lock, err := wal.OS{}.Lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	pool := wal.NewPool(0)
	begun := time.Now()
	disk := countedFS{wal.OS{}, &diskTally{elapsed: func() time.Duration { return time.Since(begun) }}}
	cfg.Ports.Clock, cfg.Ports.Chance, cfg.Ports.FS, cfg.Ports.Run = realClock{}, rand.Reader, disk, pool.Run
	cfg.Ports.Props = append(slices.Clone(cfg.Ports.Props), actor.WithDispatcher(newCrew()))
	return wait(ctx, cfg, pool, lock)
}

// wait launches the broker and waits until it has started.
func wait(ctx context.Context, cfg Config, pool *wal.Pool, lock io.Closer) (*Broker, error) {
	started := make(chan error, 1)
	b := Launch(cfg, func(err error) { started <- err })
	if cfg.Launched != nil {
		cfg.Launched(b)
	}
	b.end = func(ctx context.Context) error {
		select {
		case <-pool.Close():
		case <-ctx.Done():
			return fmt.Errorf("close broker: %w: a disk hangs, and its directory stays locked", ctx.Err())
		}
		if b.ended.Swap(true) {
			return nil
		}
		b.house.system.Shutdown()
		return lock.Close()
	}
	var err error
	select {
	case err = <-started:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("start broker: %w", err), b.Close(last))
	}
	return b, nil
}

// Close ends the broker: nobody is let in any more, what is in flight is
// answered, logs rest and are closed. It waits for all that, at most until
// ctx ends.
func (b *Broker) Close(ctx context.Context) error {
	done := make(chan struct{})
	b.Leave(func() { close(done) })
	select {
	case <-done:
		return b.end(ctx)
	case <-ctx.Done():
		return fmt.Errorf("close broker: %w: a disk may hang", ctx.Err())
	}
}
