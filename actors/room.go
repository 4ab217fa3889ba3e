package actors

import "path/filepath"

// beat measures the room on the disk.
func (k *keeper) beat() {
	if k.leaving != nil {
		return
	}
	h := k.house
	h.port.Lane(filepath.Join(h.cfg.Dir, "room")).Do(func() {
		free, err := h.fs.Free(h.cfg.Dir)
		k.post(&measured{free, err})
	})
}

func (k *keeper) measured(m *measured) {
	if m.err == nil {
		k.house.tallies.diskFree.Store(m.free + 1)
	}
	short := m.err == nil && m.free < k.house.reserve
	if k.house.short.Swap(short) != short {
		k.house.log.Warn("room on the disk changed", "free", m.free, "reserve", k.house.reserve, "refusing", short)
	}
	k.house.clock.After(k.house.jitter(retryEvery), func() { k.post(beat{}) })
}
