package member

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"github.com/troupe-mq/troupe/codec"
)

// Members is who is here, until Close.
type Members struct {
	config  Config
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	dirty   chan struct{} // something may be another
	search  chan struct{} // look for members now

	mu   sync.Mutex
	serf *serf.Serf // nil while it is built anew
	seen map[codec.NodeID]Member
}

// Start begins to listen and to look for members. Its error is about the address
// or the keys: what happens later is mended, and logged.
func Start(c Config) (*Members, error) {
	c = c.withDefaults()
	m := &Members{config: c, dirty: make(chan struct{}, 1), search: make(chan struct{}, 1), seen: map[codec.NodeID]Member{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	s, err := m.build()
	if err != nil {
		m.stop()
		m.running.Wait()
		return nil, err
	}
	// A port that was free stays this broker's: others know it.
	m.config.Bind = m.settled(s)
	m.running.Go(func() { m.keep(s) })
	m.running.Go(m.tell)
	m.running.Go(m.find)
	return m, nil
}

// settled is the address to listen on from now on.
func (m *Members) settled(s *serf.Serf) string {
	host, port, err := net.SplitHostPort(m.config.Bind)
	if err != nil || port != "0" {
		return m.config.Bind
	}
	return net.JoinHostPort(host, strconv.Itoa(int(s.LocalMember().Port)))
}

// build makes a Serf and has its events say that it is time to look.
func (m *Members) build() (*serf.Serf, error) {
	events := make(chan serf.Event, 1024)
	s, err := m.config.build(events)
	if err != nil {
		return nil, err
	}
	m.running.Go(func() {
		for {
			select {
			case <-events: // which says nothing that Members does not
				m.mark()
			case <-s.ShutdownCh():
				return
			}
		}
	})
	m.mu.Lock()
	m.serf = s
	m.mu.Unlock()
	return s, nil
}

func (m *Members) mark() {
	select {
	case m.dirty <- struct{}{}:
	default:
	}
}

// tell calls Changed, once for all that happened meanwhile.
func (m *Members) tell() {
	for {
		select {
		case <-m.dirty:
			m.config.Changed()
		case <-m.ctx.Done():
			return
		}
	}
}

// keep builds Serf anew whenever it stops.
func (m *Members) keep(s *serf.Serf) {
	var p pause
	for {
		select {
		case <-s.ShutdownCh():
		case <-m.ctx.Done():
			return
		}
		m.mu.Lock()
		m.serf = nil
		m.mu.Unlock()
		m.mark()
		m.config.Log("gossip has stopped, and is begun anew")
		for {
			if !m.rest(p.next(pauseMost)) {
				return
			}
			next, err := m.build()
			if err == nil {
				s = next
				break
			}
			m.config.Log("gossip could not be begun anew", "error", err)
		}
		m.mark()
		m.look()
	}
}

// rest waits; false when Close has begun.
func (m *Members) rest(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-m.ctx.Done():
		return false
	}
}

// current is the Serf that runs; nil while there is none.
func (m *Members) current() *serf.Serf {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.serf
}

// Address is where others reach this broker's gossip.
func (m *Members) Address() string {
	s := m.current()
	if s == nil {
		return ""
	}
	return addressOf(s.LocalMember())
}

func addressOf(one serf.Member) string {
	return net.JoinHostPort(one.Addr.String(), strconv.Itoa(int(one.Port)))
}

// Members are all of whom was heard, this broker among them, by name.
func (m *Members) Members() []Member {
	s := m.current()
	if s == nil {
		return nil
	}
	all := make([]Member, 0, 8)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range s.Members() {
		all = append(all, m.view(one))
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return all
}

// view is a member as it is told, with the time since which it is so. The caller
// holds the lock.
func (m *Members) view(one serf.Member) Member {
	v := Member{Node: codec.NodeID(one.Name), Gossip: addressOf(one), Link: one.Tags[tagLink], Status: statusOf(one.Status), Since: time.Now()}
	v.Disk, _ = codec.ParseUUID(one.Tags[tagDisk]) // the guard has seen it
	if had, ok := m.seen[v.Node]; ok && had.Status == v.Status {
		v.Since = had.Since
	}
	m.seen[v.Node] = v
	return v
}

func statusOf(s serf.MemberStatus) Status {
	switch s {
	case serf.StatusAlive:
		return Alive
	case serf.StatusLeaving, serf.StatusLeft:
		return Left
	case serf.StatusFailed, serf.StatusNone:
	}
	return Failed
}

// Leave says goodbye, so that the others need not find out. It takes about a
// second at most; Close is to follow.
func (m *Members) Leave() error {
	s := m.current()
	if s == nil {
		return errors.New("gossip has stopped")
	}
	return s.Leave()
}

// Close ends it. Afterwards nothing of it runs any more.
func (m *Members) Close() {
	m.stop()
	for {
		s := m.current()
		if s != nil {
			if err := s.Shutdown(); err != nil {
				m.config.Log("gossip did not end well", "error", err)
			}
		}
		done := make(chan struct{})
		go func() { m.running.Wait(); close(done) }()
		select {
		case <-done:
			if last := m.current(); last == s || last == nil {
				return
			}
		case <-time.After(5 * time.Second): // one that was just being built
		}
	}
}
