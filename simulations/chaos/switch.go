package chaos

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Switch takes frames from the cables of hosts to those they are for. Between
// each two hosts, each way on its own, it can be told to do it badly.
type Switch struct {
	ports   []*os.File
	ways    [][]*way // from, to
	reading sync.WaitGroup
	sending sync.WaitGroup
	ended   chan struct{} // closed when no frame comes any more

	mu     sync.Mutex
	chance *rand.Rand
	where  map[mac]int // the port behind which an address is
}

type mac [6]byte

// Way is how bad the way from one host to another is. The zero value is a good
// one.
type Way struct {
	Cut     bool
	Stalled bool          // frames wait until it is over
	Loss    float64       // of one
	Double  float64       // of one
	Garbled float64       // of one: a bit is another one
	Slow    time.Duration // each takes up to so much longer
	Mixed   bool          // frames overtake each other
}

// way is a Way and the frames on it.
type way struct {
	is     atomic.Pointer[Way]
	queue  chan frame
	better chan struct{} // holds one when is has changed
	lost   atomic.Int64
	passed atomic.Int64
}

type frame struct {
	bytes []byte
	due   time.Time
}

// queueFrames is what a way holds back. What comes beyond it is lost, as with
// any switch.
const queueFrames = 2048

const frameMax = mtu + 18

func newSwitch(chance *rand.Rand, ports []*os.File) *Switch {
	s := &Switch{ports: ports, chance: chance, where: map[mac]int{}, ended: make(chan struct{})}
	for range ports {
		var row []*way
		for range ports {
			w := &way{queue: make(chan frame, queueFrames), better: make(chan struct{}, 1)}
			w.is.Store(&Way{})
			row = append(row, w)
		}
		s.ways = append(s.ways, row)
	}
	for from := range ports {
		s.reading.Go(func() { s.read(from) })
		for to := range ports {
			if to != from {
				s.sending.Go(func() { s.send(s.ways[from][to], to) })
			}
		}
	}
	return s
}

// wait returns when nothing of the switch runs any more: its ports must be
// closed.
func (s *Switch) wait() {
	s.reading.Wait()
	close(s.ended)
	for _, row := range s.ways {
		for _, w := range row {
			close(w.queue)
		}
	}
	s.sending.Wait()
}

// Set says how the way from one host to another is from now on.
func (s *Switch) Set(from, to *Host, as Way) {
	w := s.ways[from.port][to.port]
	w.is.Store(&as)
	select {
	case w.better <- struct{}{}:
	default:
	}
}

// Heal makes all ways good.
func (s *Switch) Heal(hosts []*Host) {
	for _, a := range hosts {
		for _, b := range hosts {
			if a != b {
				s.Set(a, b, Way{})
			}
		}
	}
}

// read takes what comes from one host.
func (s *Switch) read(from int) {
	p := make([]byte, frameMax)
	for {
		n, err := s.ports[from].Read(p)
		if err != nil {
			return
		}
		if n < 14 {
			continue
		}
		for _, to := range s.route(from, mac(p[0:6]), mac(p[6:12])) {
			s.pass(s.ways[from][to], p[:n])
		}
	}
}

// route learns where a frame's sender is, and says to which ports it goes.
func (s *Switch) route(from int, to, sender mac) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.where[sender] = from
	if port, known := s.where[to]; known && to[0]&1 == 0 {
		return []int{port}
	}
	var all []int
	for port := range s.ports {
		if port != from {
			all = append(all, port)
		}
	}
	return all
}

// pass does to a frame what is done to those on its way.
func (s *Switch) pass(w *way, p []byte) {
	is := w.is.Load()
	copies, bit, after := 1, -1, time.Duration(0)
	if *is != (Way{}) {
		copies, bit, after = s.luck(is, len(p))
	}
	for range copies {
		f := frame{bytes: append([]byte(nil), p...)}
		if bit >= 0 {
			f.bytes[bit/8] ^= 1 << (bit % 8)
		}
		if after > 0 {
			f.due = time.Now().Add(after)
		}
		select {
		case w.queue <- f:
		default:
			w.lost.Add(1)
		}
	}
	if copies == 0 {
		w.lost.Add(1)
	}
}

// luck is what becomes of a frame: how many of it go on, which of its bits is
// another one, or -1, and how much later.
func (s *Switch) luck(is *Way, size int) (copies, bit int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	copies, bit = 1, -1
	switch {
	case is.Cut || s.chance.Float64() < is.Loss:
		return 0, -1, 0
	case s.chance.Float64() < is.Double:
		copies = 2
	}
	if s.chance.Float64() < is.Garbled {
		bit = 14*8 + s.chance.IntN((size-14)*8+1) // behind the addresses
		bit = min(bit, size*8-1)
	}
	if is.Slow > 0 {
		after = time.Duration(s.chance.Int64N(int64(is.Slow)))
	}
	return copies, bit, after
}

// send hands what is on a way to its host, in order but where frames are mixed.
func (s *Switch) send(w *way, to int) {
	for f := range w.queue {
		for {
			is := w.is.Load()
			wait := time.Until(f.due)
			switch {
			case is.Stalled && !s.closed():
				s.waits(w, time.Hour)
				continue
			case wait > 0 && is.Mixed:
				late := f.bytes
				time.AfterFunc(wait, func() { s.arrive(w, to, late) })
			case wait > 0 && !s.closed():
				s.waits(w, wait)
				continue
			default:
				s.arrive(w, to, f.bytes)
			}
			break
		}
	}
}

// arrive gives a frame to a host, unless the way is cut by now.
func (s *Switch) arrive(w *way, to int, p []byte) {
	if w.is.Load().Cut {
		w.lost.Add(1)
		return
	}
	w.passed.Add(1)
	_, _ = s.ports[to].Write(p) // a host that is going down loses it
}

// waits returns when the way has changed, after d, or at the end of the switch.
func (s *Switch) waits(w *way, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.better:
	case <-t.C:
	case <-s.ended:
	}
}

func (s *Switch) closed() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
