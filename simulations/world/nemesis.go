package world

import (
	"time"

	"github.com/troupe-mq/troupe/codec"
)

// nemesis does something bad now and then, until the scenario is calm.
func (o *OneNode) nemesis() {
	o.w.After(time.Duration(100+o.chance.IntN(4000))*time.Millisecond, "nemesis", func() {
		if o.calm {
			return
		}
		o.strike()
		o.nemesis()
	})
}

func (o *OneNode) strike() {
	switch o.chance.IntN(8) {
	case 0, 1:
		o.kill("kill")
	case 2:
		o.killInCall()
	case 3:
		o.fault(EIO)
	case 4:
		o.fault(ENOSPC)
	case 5:
		o.fault(Hang)
	case 6:
		o.fill()
	case 7:
		o.trim()
	}
}

func (o *OneNode) kill(what string) {
	o.w.Note("nemesis", what, 0)
	if o.node.Broker != nil {
		o.fail(o.crash(o.anyMode()))
	}
	o.reviveLater()
}

// reviveLater starts the broker again after a pause, unless it runs by then.
func (o *OneNode) reviveLater() {
	o.w.After(time.Duration(o.chance.IntN(3000))*time.Millisecond, "nemesis", func() {
		if o.node.Broker == nil && !o.calm {
			o.node.Start()
			if o.node.failure != nil {
				o.fail(o.crash(Kept)) // a fault was laid for the start itself
				o.reviveLater()
			}
		}
	})
}

// killInCall kills the process before or behind one of its next disk calls.
func (o *OneNode) killInCall() {
	left, mode := o.chance.IntN(60), o.anyMode()
	o.w.Note("nemesis", "kill in a call", uint64(left))
	o.node.Disk.OnCall(func(Call) {
		if left--; left == 0 {
			o.node.Disk.OnCall(nil)
			o.fail(o.crash(mode))
			o.w.After(0, "nemesis", o.reviveLater)
		}
	})
}

// fault lets one of the next disk calls fail. Some failures end a replica
// until the process is started again, so that follows.
func (o *OneNode) fault(f Fault) {
	o.w.Note("nemesis", "fault "+f.String(), 0)
	o.stats.Faults[f.String()]++
	o.node.Disk.FailCall(o.chance.IntN(40), f)
	if f != ENOSPC {
		o.w.After(time.Duration(1000+o.chance.IntN(20000))*time.Millisecond, "nemesis", func() {
			if !o.calm {
				o.kill("kill after a fault")
			}
		})
	}
}

// fill leaves little room on the disk for a while.
func (o *OneNode) fill() {
	o.w.Note("nemesis", "fill the disk", 0)
	o.stats.Faults["full"]++
	o.node.Disk.SetCapacity(o.node.Disk.Used() + int64(o.chance.IntN(200<<10)))
	o.w.After(time.Duration(1000+o.chance.IntN(8000))*time.Millisecond, "nemesis", func() { o.node.Disk.SetCapacity(0) })
}

// trim moves the start of a log.
func (o *OneNode) trim() {
	log := o.logs[o.chance.IntN(len(o.logs))]
	h, err := o.handle(log)
	if err != nil {
		return
	}
	start, watermark, err := h.Bounds()
	if err != nil || watermark == start {
		return
	}
	o.stats.Trims++
	before := start + codec.Offset(o.chance.Int64N(int64(watermark-start)))
	o.w.Note("nemesis", "trim", uint64(before))
	h.Trim(before, func(codec.Offset, error) {})
}

// fail keeps trouble of the simulation itself.
func (o *OneNode) fail(err error) {
	if err != nil && o.broken == nil {
		o.broken = err
	}
}
