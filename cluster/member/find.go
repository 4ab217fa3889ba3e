package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Pauses between attempts, as of links.
const (
	pauseLeast = 20 * time.Millisecond
	pauseMost  = 5 * time.Second
)

// pause is how long to wait before the next attempt: not at all at first, then
// twice as long each time, and half to one and a half times that by chance.
type pause struct{ last time.Duration }

func (p *pause) next(most time.Duration) time.Duration {
	rest := p.last
	p.last = min(max(2*p.last, pauseLeast), most)
	if rest == 0 {
		return 0
	}
	return rest/2 + rand.N(rest)
}

func (p *pause) reset() { p.last = 0 }

// look has members looked for now.
func (m *Members) look() {
	select {
	case m.search <- struct{}{}:
	default:
	}
}

// find looks for members that are known and not here, as long as there are some:
// Serf itself tries those that failed, and one at a time.
func (m *Members) find() {
	var p pause
	trouble := ""
	for {
		missing := m.missing()
		wait := m.config.lookEvery
		if len(missing) > 0 {
			if err := m.join(missing); err != nil {
				wait = max(p.next(pauseMost), pauseLeast)
				if says := err.Error(); says != trouble {
					trouble = says
					m.config.Log("members cannot be reached by gossip", "addresses", strings.Join(missing, ", "), "error", says)
				}
			} else {
				trouble = ""
			}
		}
		if len(missing) == 0 || trouble == "" {
			p.reset()
		}
		select {
		case <-time.After(wait):
		case <-m.search:
		case <-m.ctx.Done():
			return
		}
	}
}

// missing are the known addresses at which no member is alive.
func (m *Members) missing() []string {
	here := []string{m.Address()}
	for _, one := range m.Members() {
		if one.Status == Alive {
			here = append(here, one.Gossip)
		}
	}
	return slices.DeleteFunc(slices.Clone(m.config.Known()), func(a string) bool { return slices.Contains(here, a) })
}

// join asks at addresses; its error is that of all.
func (m *Members) join(addresses []string) error {
	s := m.current()
	if s == nil {
		return fmt.Errorf("gossip has stopped")
	}
	var troubles []string
	for _, a := range addresses {
		// One by one: a list is given up at an address that belongs to another
		// cluster.
		if _, err := s.Join([]string{a}, true); err != nil {
			troubles = append(troubles, explain(a, err))
		}
	}
	if troubles == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(troubles, "; "))
}

// explain makes what memberlist says one line, and says what to do.
func explain(address string, err error) string {
	says := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(says, "no installed keys could decrypt"), strings.Contains(says, "decrypt"):
		return address + " has other keys of the gossip: give all brokers the same --gossip-key"
	case strings.Contains(says, "encryption is not configured"):
		return address + " encrypts its gossip, and this broker has no key: give all brokers the same --gossip-key"
	case strings.Contains(says, "connection refused"):
		return address + ": nobody listens there"
	}
	return says
}
