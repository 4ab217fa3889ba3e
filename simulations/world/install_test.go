package world_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// A follower's life: its tail conflicts and is cut, and a snapshot of the
// leader replaces its log. Every disk call of it crashes, and every one fails;
// what is found afterwards is the old log or the new one, whole, with the term
// and the vote that were promised.

// install replaces the log by a snapshot of entry index, behind which the
// offsets go on from next.
func (p *logPlay) install(index codec.Index, next codec.Offset) {
	h := wal.Hard{Term: p.term, Vote: p.model.vote, Before: index, BeforeTerm: p.term, Start: max(p.model.start, next-1), Next: next,
		Conf: fmt.Appendf(nil, "conf of log %d", p.model.log+1), ConfAsOf: index + 3}
	if p.term > p.model.term {
		h.Vote = 0
	}
	p.next = &logModel{entries: map[codec.Index][]wal.Entry{}, promised: map[codec.Index]wal.Entry{}, committed: map[codec.Index]wal.Entry{}, least: index, most: index,
		term: h.Term, vote: h.Vote, start: h.Start, snapshot: index, log: p.model.log + 1}
	x, err := p.log.Install(h, wal.Snapshot{Index: index, Term: p.term, Data: asOf(index, p.next.log)})
	p.must(err)
	p.x, p.model, p.next = x, *p.next, nil
}

// replace has another leader, of the next term, replace what follows entry
// after, and say that it is committed: in one group with the vote for it and
// with a write of the leader before it, of which it leaves nothing.
func (p *logPlay) replace(after codec.Index, n, bytes int) {
	base := p.x.Next()
	for i := after + 1; i <= p.x.Last(); i++ {
		if e, ok := p.model.promised[i]; ok {
			if run, ok, _ := codec.ParseBatchEntry(e.Data); ok {
				base = run.Base()
				break
			}
		}
	}
	late := &wal.Write{Entries: p.run(p.x.Last()+1, p.x.Next(), 2, 1, bytes)}
	p.term++
	p.write(late, &wal.Write{Vote: &wal.Vote{Term: p.term, For: 3}, Commit: after + codec.Index(n), Entries: p.run(after+1, base, n, 2, bytes)})
	p.commit()
}

// follow is the life of a follower.
func (p *logPlay) follow(r *rand.Rand) {
	p.vote(2)
	p.append(3, 2, 60)
	p.commit()
	p.snap(p.x.Committed())
	p.append(8+r.IntN(4), 1, 200) // over several files of both kinds
	p.replace(p.x.Committed()+codec.Index(r.IntN(6)), 3, 150)
	if r.IntN(2) == 0 {
		p.reopen()
	}
	p.append(2, 1, 900)
	p.term++ // the leader of a new term sends a snapshot, of below, at or above the end
	p.install(p.x.Committed()+1+codec.Index(r.IntN(40)), codec.Offset(r.IntN(100)))
	p.append(4, 2, 300)
	p.replace(p.x.Committed(), 3, 200) // the whole log goes
	p.append(9, 1, 250)
	p.commit()
	p.snap(p.x.Committed() - 2)
	p.snap(p.x.Committed())
	p.retain(p.x.Next() - 2)
	p.append(3, 1, 40)
	p.reopen()
	p.append(1, 1, 40)
	p.install(p.x.Last()+codec.Index(r.IntN(3)), p.x.Next()+codec.Offset(r.IntN(9)))
	p.reopen()
	p.append(2, 1, 90)
	p.commit()
	p.must(p.log.Rest(p.x.Committed()))
	p.must(p.log.Close())
}

func TestEveryCrashImageOfAFollowerIsOneLogOrTheOther(t *testing.T) {
	const want, perCall = 4_000, 6
	images, again, old, fresh := 0, 0, 0, 0
	seen := map[world.Mode]int{}
	for seed := uint64(1); images < want; seed++ {
		p := newLogPlay(t, seed)
		p.opts.NoSync = seed%4 == 0
		chance := rand.New(rand.NewPCG(seed, 98))
		p.disk.OnCall(func(c world.Call) {
			if c.Op == "read" || c.Op == "readdir" || c.Op == "size" || c.Op == "close" {
				return
			}
			n, err := p.disk.Images(perCall, chance, func(root string, mode world.Mode) error {
				seen[mode]++
				dir := filepath.Join(root, imagedDir)
				if p.next != nil {
					if r, err := wal.Inspect(wal.OS{}, dir, nil); err != nil {
						return fmt.Errorf("inspect: %w", err)
					} else if r.Hard.Log == p.next.log {
						fresh++
					} else {
						old++
					}
				}
				return p.check(wal.OS{}, dir)
			})
			images += n
			require.NoError(t, err, "seed %d, crash at call %v (done: %v)", seed, c, c.Done)
			if chance.IntN(40) == 0 {
				again += crashOnRecovery(t, p, chance)
			}
		})
		p.create()
		p.follow(chance)
	}
	require.Greater(t, again, 200)
	require.Greater(t, old, 50)
	require.Greater(t, fresh, 50)
	for _, m := range world.Modes() {
		require.Greater(t, seen[m], 20, "mode %v", m)
	}
	t.Logf("%v: %d distinct images opened, %d of crashes in a recovery from a crash; within an install %d were the old log and %d the new one", seen, images, again, old, fresh)
}

func TestTheKthDiskCallOfAFollowerFails(t *testing.T) {
	calls := failingFollower(t, -1, world.None)
	require.Greater(t, calls, 300)
	for _, f := range world.Faults() {
		for k := range calls {
			failingFollower(t, k, f)
		}
	}
	t.Logf("%d lives, each with another failing call of %d", calls*len(world.Faults()), calls)
}

// failingFollower plays a life whose k-th call fails, opens the log again, and
// loses power while it does and then.
func failingFollower(t *testing.T, k int, fault world.Fault) (calls int) {
	p := newLogPlay(t, 3)
	p.create()
	calls = p.disk.Calls()
	var failed world.Call
	if fault != world.None {
		p.disk.FailCall(k, fault)
	}
	p.disk.OnCall(func(c world.Call) {
		if c.Seq == calls+k && !c.Done {
			failed = c
		}
	})
	err := p.untilItFails(fault, func() { p.follow(rand.New(rand.NewPCG(3, 97))) })
	calls = p.disk.Calls() - calls
	p.disk.Inject(nil)
	p.disk.OnCall(nil)
	name := fmt.Sprintf("call %d (%v) fails with %v", k, failed, fault)
	if err != nil {
		_ = p.log.Close()
		require.Zero(t, p.disk.Handles(), name)
	}
	if err != nil && !wal.IsFull(err) || fault == world.Hang { // only a full disk is tried again by the same process
		require.NoError(t, p.disk.Crash(world.Kept, nil), name)
	}
	// Power fails at some calls of the next opening: at all of them, over the lives.
	chance := rand.New(rand.NewPCG(uint64(k), 96))
	p.disk.OnCall(func(c world.Call) {
		if fault == world.None || chance.IntN(16) > 0 || c.Op == "read" || c.Op == "readdir" || c.Op == "size" || c.Op == "close" {
			return
		}
		_, err := p.disk.Images(2, chance, func(root string, _ world.Mode) error {
			return p.check(wal.OS{}, filepath.Join(root, imagedDir))
		})
		require.NoError(t, err, "%s, power fails at call %v (done: %v)", name, c, c.Done)
	})
	require.NoError(t, p.check(p.disk.Mount(), p.dir), name)
	p.disk.OnCall(nil)
	require.NoError(t, p.disk.Crash(world.Lost, nil), name)
	require.NoError(t, p.check(p.disk.Mount(), p.dir), name)
	return calls
}

// untilItFails plays until a call fails, and says how, or hangs.
func (p *logPlay) untilItFails(fault world.Fault, play func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failedCall:
			err = r.err
		case string:
			panic(r)
		default:
			if fault != world.Hang {
				panic(r)
			}
		}
	}()
	play()
	return nil
}
