package link

import (
	"net"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// letter is one that waits.
type letter struct {
	parts [][]byte
	size  int // bytes
}

// queue is what waits to leave by a lane, bounded in bytes. What is being
// written still counts.
type queue struct {
	wake chan struct{} // has one when letters wait

	mu      sync.Mutex
	waiting []letter
	bytes   int  // of waiting, and of what is being written
	most    int  // bytes
	largest int  // letter, bytes
	open    bool // letters are taken

	lost, lostBytes uint64
	tooLarge        int // size of the last that was above largest
}

// put takes a letter, or counts it as lost. One alone may be larger than the
// bound.
func (q *queue) put(parts [][]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size == 0 {
		return // says nothing, and a frame of no bytes says something else
	}
	q.mu.Lock()
	if size > q.largest {
		q.tooLarge = size
	}
	if !q.open || size > q.largest || q.bytes > 0 && q.bytes+size > q.most {
		q.lose(1, size)
		q.mu.Unlock()
		return
	}
	q.waiting = append(q.waiting, letter{parts, size})
	q.bytes += size
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits. used is the memory of what it returned before.
func (q *queue) take(used []letter) []letter {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = used[:0]
	return all
}

// left makes room for what was taken and has been written, or was lost.
func (q *queue) left(bytes int) {
	q.mu.Lock()
	q.bytes -= bytes
	q.mu.Unlock()
}

// loseTaken counts letters that were taken and did not leave.
func (q *queue) loseTaken(list []letter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range list {
		q.lose(1, list[i].size)
		q.bytes -= list[i].size
	}
}

// set says whether letters are taken. When they are not, nobody answers, and
// those that wait are lost: they would be old news.
func (q *queue) set(open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open = open; open {
		return
	}
	for i := range q.waiting {
		q.lose(1, q.waiting[i].size)
		q.bytes -= q.waiting[i].size
	}
	q.waiting = nil
}

func (q *queue) lose(letters, bytes int) {
	q.lost += uint64(letters)
	q.lostBytes += uint64(bytes)
}

// packet is letters on their way into one writev. Small parts are copied
// together, for an element of a writev costs more than that; large ones are
// not.
type packet struct {
	small   []byte // of packetSmall bytes at most, so that it never moves
	from    int    // where small is not in bufs yet
	bufs    [][]byte
	portion [][]byte // of bufs, that is being written
	bytes   int
	letters int
}

const (
	packetSmall = 64 << 10
	packetMost  = 1 << 20 // bytes, unless one letter is larger
	packetBufs  = 1024    // IOV_MAX
	copyBelow   = 4 << 10
)

// add puts a letter in, and says whether there was room; there always is in an
// empty packet.
func (p *packet) add(l *letter) bool {
	small := codec.FrameHeadBytes
	for _, part := range l.parts {
		if len(part) < copyBelow {
			small += len(part)
		}
	}
	if p.bytes > 0 && (p.bytes+l.size > packetMost || len(p.bufs)+2*len(l.parts)+1 > packetBufs || len(p.small)+small > packetSmall) {
		return false
	}
	p.head(uint32(l.size))
	for _, part := range l.parts {
		if len(part) < copyBelow && len(p.small)+len(part) <= packetSmall {
			p.small = append(p.small, part...)
			continue
		}
		p.cut()
		p.bufs = append(p.bufs, part)
	}
	p.bytes += codec.FrameHeadBytes + l.size
	p.letters++
	return true
}

// head puts four bytes in: a length, or a word of the lane's.
func (p *packet) head(word uint32) {
	if p.small == nil {
		p.small = make([]byte, 0, packetSmall+codec.FrameHeadBytes)
	}
	p.small = append(p.small, byte(word>>24), byte(word>>16), byte(word>>8), byte(word))
}

// cut moves what was copied into bufs.
func (p *packet) cut() {
	if p.from < len(p.small) {
		p.bufs = append(p.bufs, p.small[p.from:len(p.small):len(p.small)])
		p.from = len(p.small)
	}
}

// writeTo is one writev; the packet is empty then.
func (p *packet) writeTo(c *conn) error {
	p.cut()
	sending := net.Buffers(p.bufs)
	_, err := sending.WriteTo(c.net)
	p.clear()
	return err
}

// writeAtOnce is how much of a packet has one deadline: slow is not silent.
const writeAtOnce = 256 << 10

// writeWithin is writeTo that gives each portion so much time; the packet is empty then.
func (p *packet) writeWithin(c *conn, within time.Duration) error {
	defer p.clear()
	p.cut()
	for rest := p.bufs; len(rest) > 0; {
		p.portion = p.portion[:0]
		for room := writeAtOnce; len(rest) > 0 && room > 0; {
			n := min(len(rest[0]), room)
			p.portion = append(p.portion, rest[0][:n])
			room -= n
			if rest[0] = rest[0][n:]; len(rest[0]) == 0 {
				rest = rest[1:]
			}
		}
		_ = c.net.SetWriteDeadline(time.Now().Add(within))
		sending := net.Buffers(p.portion)
		if _, err := sending.WriteTo(c.net); err != nil {
			return err
		}
	}
	return nil
}

// clear makes it empty, and forgets the letters.
func (p *packet) clear() {
	clear(p.bufs)
	clear(p.portion)
	p.small, p.from, p.bufs, p.bytes, p.letters = p.small[:0], 0, p.bufs[:0], 0, 0
}
