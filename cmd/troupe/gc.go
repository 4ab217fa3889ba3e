package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage may gather between two collections, in percent
// of what is in use. A broker's heap is small, a few megabytes besides buffers
// in flight, so Go's own 100 would have it collect many times a second under
// load.
const gcPercent = 400

// relaxGC gives the collector more room, unless the environment (GOGC) says
// how much.
func relaxGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
