package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/simulations/scenario"
)

// Faults of disks.

// faultDefault is how long a broken disk is left to its broker before that is
// started anew.
const faultDefault = 2 * time.Second

// fault lets disk calls of a process fail, or hang; then it is started anew.
func (p *play) fault(ctx context.Context, f scenario.Fault) (int, error) {
	calls := anyCall
	if f.With["call"] == "sync" {
		calls = syncCalls
	}
	for_ := f.For(faultDefault)
	inject := "error=" + f.Args[1] + ":when=1"
	if f.Args[1] == "hang" {
		inject = fmt.Sprintf("delay_enter=%d", for_.Microseconds())
	}
	return p.each(p.targets(ctx, f.Args[0]), func(b *Broker) error {
		if err := p.traced(ctx, b, calls, inject, for_); err != nil {
			return err
		}
		return p.down(ctx, b, 0)
	})
}

// slow makes each fsync take longer.
func (p *play) slow(ctx context.Context, f scenario.Fault) (int, error) {
	inject := fmt.Sprintf("delay_exit=%d", f.Duration("by", 100*time.Millisecond).Microseconds())
	return p.each(p.targets(ctx, f.Args[0]), func(b *Broker) error { return p.traced(ctx, b, syncCalls, inject, f.For(faultDefault)) })
}

// ballastName is the file that takes all the room.
const ballastName = "ballast"

// fill takes all room of a broker's disk, and gives it back.
func (p *play) fill(ctx context.Context, f scenario.Fault) (int, error) {
	if p.noSmallDisks != nil {
		return 0, fmt.Errorf("%w: %w", errNoTool, p.noSmallDisks)
	}
	met := 0
	for _, b := range p.targets(ctx, f.Args[0]) {
		ballast := filepath.Join(filepath.Dir(b.Dir), ballastName)
		if _, err := os.Stat(ballast); err == nil {
			continue // it is full already
		}
		if err := fill(ballast, smallDiskBytes); !errors.Is(err, syscall.ENOSPC) {
			return met, fmt.Errorf("fill the disk of %s: got %w", b.Node, err)
		}
		met++
		_ = wait(ctx, f.For(faultDefault))
		if err := os.Remove(ballast); err != nil {
			return met, err
		}
	}
	return met, nil
}

// smallDiskBytes is the size of a broker's own file system, where one is to be filled:
// the reserve, and more than clients send in a play. Otherwise it would be full in the end
// without anybody's doing, and nothing makes room.
const smallDiskBytes = 1536 << 20

func mountTmpfs(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDiskBytes)); err != nil {
		return fmt.Errorf("a small file system of its own is not permitted here: %w", err)
	}
	return nil
}

func unmountTmpfs(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }

// Calls that a disk answers, as the kernel names them.
var (
	syncCalls = strings.Join([]string{"fsync", "fdatasync"}, ",")
	anyCall   = strings.Join([]string{"fsync", "fdatasync", "pwrite64", "pwritev", "ftruncate", "fallocate", "renameat", "unlinkat", "mkdirat"}, ",")
)
