// This file is laid over the package of the binary by buildProfiled, for
// measurements alone: the product has no such door.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
)

func init() {
	if address := os.Getenv("TROUPE_CHAOS_PPROF"); address != "" {
		go func() { panic(http.ListenAndServe(address, nil)) }()
	}
}
