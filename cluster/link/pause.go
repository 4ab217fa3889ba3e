package link

import (
	"math/rand/v2"
	"time"
)

// Pauses between dials.
const (
	pauseLeast   = 20 * time.Millisecond
	pauseMost    = time.Second
	pauseRefused = 5 * time.Second // the most after a refusal, which a person has to mend
)

// pause is how long to wait before the next dial: not at all at first, then
// twice as long each time, and half to one and a half times that by chance.
type pause struct{ last time.Duration }

// next is the pause after one more failure.
func (p *pause) next(most time.Duration) time.Duration {
	rest := p.last
	p.last = min(max(2*p.last, pauseLeast), most)
	if rest == 0 {
		return 0
	}
	return rest/2 + rand.N(rest)
}

// reset begins anew, behind a connection that was good.
func (p *pause) reset() { p.last = 0 }
