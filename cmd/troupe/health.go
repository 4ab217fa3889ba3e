package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"
)

// health is the HTTP side of a broker: /healthz says that the process lives,
// /readyz that it serves, or why not, /metrics what it has done.
type health struct {
	server  *http.Server
	address net.Addr
	ready   atomic.Pointer[func() error]
	ended   chan struct{}
}

var (
	errStarting = errors.New("the broker is starting")
	errDraining = errors.New("the broker is stopping")
)

func startHealth(address string, metrics http.Handler, profiles bool, failures *log.Logger) (*health, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	h := &health{address: l.Addr(), ended: make(chan struct{})}
	h.serve(func() error { return errStarting })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := (*h.ready.Load())(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", metrics)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: failures}
	go func() {
		defer close(h.ended)
		_ = h.server.Serve(l) // ends by close only
	}()
	return h, nil
}

// serve makes /readyz ask ready.
func (h *health) serve(ready func() error) { h.ready.Store(&ready) }

// drain makes /readyz say that the broker is stopping.
func (h *health) drain() { h.serve(func() error { return errDraining }) }

// pageWithin is how long requests may take that run when the page is closed.
const pageWithin = time.Second

// close ends the page. A request that takes longer, such as a profile, is cut
// off: the broker's stop does not wait for it, and has not failed by it.
func (h *health) close(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	err := h.server.Shutdown(soon)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = h.server.Close()
	}
	<-h.ended
	return err
}
