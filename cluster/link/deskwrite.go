package link

import "github.com/troupe-mq/troupe/codec"

// write sends what is ready until the connection ends.
func (d *desk) write() {
	for {
		s := d.take()
		if err := d.send(s); err != nil {
			d.conn.reset(err)
			return
		}
		if s.bye {
			d.conn.end(errClosed)
		}
		if s.bye || s.ended {
			return
		}
		if len(s.replies) > 0 {
			continue
		}
		select {
		case <-d.wake:
		case <-d.conn.done:
			return
		}
	}
}

// taken is what is to be written next.
type taken struct {
	replies []*codec.Reply
	here    bool
	leave   bool
	bye     bool         // it is the last
	ended   bool         // there is nothing more, but for reason
	reason  *codec.Error // nil without
}

// take gives back what the next replies to be written have cost: about one packet of
// them, so that what is written and does not count any more is little.
func (d *desk) take() (t taken) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return taken{ended: true, reason: d.reason}
	}
	bytes := 0
	for len(d.ready) > 0 && bytes < packetMost {
		r := d.ready[0]
		d.ready[0], d.ready = nil, d.ready[1:]
		cost := d.open[r.Number].cost
		delete(d.open, r.Number)
		d.bytes -= cost
		bytes += cost
		t.replies = append(t.replies, r)
	}
	t.here, d.here = d.here, false
	t.leave, d.leave = d.leave, false
	t.bye = d.bye && len(d.ready) == 0
	return t
}

func (d *desk) send(t taken) error {
	within := deadAfter
	if t.bye || t.ended {
		within = closeWithin
	}
	if t.here {
		d.packet.head(codec.LaneHere)
	}
	if t.reason != nil {
		why := &codec.Reply{Cluster: d.conn.peer.Cluster}
		why.Fail(t.reason)
		t.replies = append(t.replies, why)
	}
	for _, r := range t.replies {
		l := letter{parts: r.Encode()}
		for _, p := range l.parts {
			l.size += len(p)
		}
		if !d.packet.add(&l) {
			if err := d.packet.writeWithin(d.conn, within); err != nil {
				return d.unread(err)
			}
			d.packet.add(&l)
		}
	}
	if t.bye || t.leave {
		d.packet.head(codec.LaneGoodbye)
	}
	if err := d.packet.writeWithin(d.conn, within); err != nil {
		return d.unread(err)
	}
	return nil
}

// unread is why a reply could not be written.
func (d *desk) unread(err error) error {
	if silence(err) == errSilent {
		return codec.Errorf(codec.TimedOut, "service %q has not read its answers for %s", d.name, deadAfter)
	}
	return err
}
