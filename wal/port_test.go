package wal

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// later collects jobs, to be run when the test says.
type later struct{ jobs []func() }

func (l *later) run(job func()) { l.jobs = append(l.jobs, job) }

func (l *later) next() {
	job := l.jobs[0]
	l.jobs = l.jobs[1:]
	job()
}

func TestWhatWaitsGoesToTheDiskTogether(t *testing.T) {
	b := newBench(t, Options{})
	var disk later
	lane := NewPort(disk.run).Lane(b.dir)
	var order []int
	next := codec.Offset(0)
	write := func(n int) {
		index := codec.Index(2) + codec.Index(n)
		w := &Write{Entries: []Entry{batchEntry(index, 2, batch(t, next, 2, 1, 30))}}
		next++
		lane.Write(b.Log, w, func(err error) {
			require.NoError(t, err)
			b.Index.Add(w.Entries)
			order = append(order, n)
		})
	}
	write(0)
	write(1)
	lane.Do(func() { order = append(order, -1) })
	write(2)
	write(3)
	require.Len(t, disk.jobs, 1, "a lane runs one job at a time")
	disk.next()
	require.Equal(t, []int{0, 1}, order)
	disk.next()
	require.Equal(t, []int{0, 1, -1}, order)
	disk.next()
	require.Equal(t, []int{0, 1, -1, 2, 3}, order)
	require.Empty(t, disk.jobs)
	require.Equal(t, codec.Index(5), b.Index.Last())
	require.NoError(t, b.Log.Close())
}

func TestABrokenInvariantEndsTheLogNotTheProcess(t *testing.T) {
	b := newBench(t, Options{})
	var disk later
	lane := NewPort(disk.run).Lane(b.dir)
	var got []error
	bad := &Write{Entries: []Entry{batchEntry(77, 2, batch(t, 0, 2, 1, 30))}}
	lane.Write(b.Log, bad, func(err error) { got = append(got, err) })
	disk.next()
	lane.Write(b.Log, &Write{}, func(err error) { got = append(got, err) })
	disk.next()
	require.ErrorContains(t, got[0], "append of entry 77")
	require.Error(t, got[1], "the log is not used again")
	require.NoError(t, b.Log.Close())
}

func TestThePoolRunsEverythingItIsGiven(t *testing.T) {
	p := NewPool(3)
	var mu sync.Mutex
	n := 0
	for range 200 {
		p.Run(func() {
			p.Run(func() { mu.Lock(); n++; mu.Unlock() })
		})
	}
	<-p.Close()
	require.Equal(t, 200, n)
}

func TestReadersBesideTheWriter(t *testing.T) {
	b := newBench(t, Options{SegmentBytes: 1 << 14})
	views := make(chan *View)
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for v := range views {
				n := 0
				for from := v.Start(); from < v.HighWatermark(); n++ {
					p, err := v.Read(nil, from, 4<<10)
					if err != nil || len(p) == 0 {
						t.Errorf("read at %d of %d: %v", from, v.HighWatermark(), err)
						return
					}
					one := codec.Batch(p)
					from = one.BaseOffset() + codec.Offset(one.Count())
				}
			}
		}()
	}
	for range 60 {
		b.put(3, 5, 100)
		b.commit()
		views <- b.Index.View()
	}
	close(views)
	readers.Wait()
	require.NoError(t, b.Log.Close())
}
