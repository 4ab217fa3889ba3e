package docs

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exempt are the files of rooms without goroutines where the real world, or a
// part of it, enters; each with the kinds of thing it may use and the reason.
var exempt = map[string]exemption{
	"actors/real.go":            {[]string{"clock", "chance", "disk", "channel"}, "hands the real clock, chance and disk to an embedded broker, and lets its caller wait"},
	"actors/crew.go":            {[]string{"clock", "goroutine", "lock"}, "runs the turns of actors, as protoactor's dispatcher would"},
	"actors/credit.go":          {[]string{"lock", "channel"}, "byte credit of callers outside actors"},
	"actors/remote.go":          {[]string{"lock", "channel"}, "lets callers outside actors wait for another broker"},
	"wal/os.go":                 {[]string{"disk"}, "the real disk"},
	"wal/syncall.go":            {[]string{"lock"}, "two fsyncs of one log, side by side"},
	"wal/port.go":               {[]string{"goroutine", "lock", "channel"}, "the disk port: blocking calls, answered by message"},
	"simulations/world/host.go": {[]string{"disk"}, "the simulated disk lies in a RAM-backed directory, for tidwall/wal makes its own calls"},
	"simulations/world/rand.go": {[]string{"chance"}, "seeds the process-wide source that raft draws its jitter from"},

	// Programs of users run beside the world, in a bubble: these serve them.
	"simulations/world/live.go":        {[]string{"clock", "goroutine", "lock", "channel"}, "runs the world beside goroutines that are not its own, on the bubble's clock"},
	"simulations/world/livebacklog.go": {[]string{"network", "lock"}, "a listener in memory"},
	"simulations/world/livecable.go":   {[]string{"clock", "lock"}, "a connection in memory, on the bubble's clock"},
	"simulations/world/livecluster.go": {[]string{"clock", "channel", "network", "lock"}, "what a test asks of the cluster, from its own goroutines"},
	"simulations/world/liveconn.go":    {[]string{"clock", "network", "disk"}, "its ends, with deadlines; package os has the error of those"},
	"simulations/world/livedoor.go":    {[]string{"clock", "channel"}, "takes what gateways ask for into the world"},
	"simulations/world/livehost.go":    {[]string{"lock", "channel"}, "the gateways of nodes, and who is connected"},
	"simulations/world/livetest.go":    {[]string{"lock", "clock"}, "one world at a time in a process, and time for what is left of a failed test to end"},
}

type exemption struct {
	kinds  []string
	reason string
}

// forbidden maps what a room without goroutines may not name to its kind. An
// empty name stands for the whole package.
var forbidden = map[string]map[string]string{
	"time": kinds("clock", "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"),
	"context": kinds("clock", "WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause",
		"AfterFunc"),
	"sync":                  kinds("lock", "Mutex", "RWMutex", "Locker", "Cond", "NewCond", "WaitGroup", "Map"),
	"math/rand":             kinds("chance", ""),
	"crypto/rand":           kinds("chance", ""),
	"os":                    kinds("disk", ""),
	"os/exec":               kinds("disk", ""),
	"os/signal":             kinds("disk", ""),
	"io/ioutil":             kinds("disk", ""),
	"golang.org/x/sys/unix": kinds("disk", ""),
	"net":                   kinds("network", ""),
	"net/http":              kinds("network", ""),
	"syscall": kinds("disk", "Open", "Read", "Pread", "Write", "Pwrite", "Fsync", "Fdatasync", "Flock", "Mkdir", "Rename", "Unlink",
		"Rmdir", "Stat", "Fstat", "Statfs", "Ftruncate", "Truncate", "Fallocate", "Mmap", "Kill", "Socket", "Syscall", "RawSyscall"),
	// A seeded generator is not chance; the package's own functions are.
	"math/rand/v2": kinds("chance", "Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint32N", "Uint64",
		"Uint64N", "UintN", "Uint", "N", "Float32", "Float64", "NormFloat64", "ExpFloat64", "Perm", "Shuffle"),
}

func kinds(kind string, names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[n] = kind
	}
	return m
}

// use is one forbidden thing in a file.
type use struct{ what, kind string }

// uses lists what s uses of clock, chance, disk, network, goroutines,
// channels and locks.
func uses(s source) []use {
	var all []use
	names := map[string]string{} // name in the file → import path
	for _, spec := range s.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(strings.TrimSuffix(p, "/v2"))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." && forbidden[p] != nil {
			all = append(all, use{"a dot import of " + p, "import"})
		}
		if kind, whole := forbidden[p][""]; whole {
			all = append(all, use{"package " + p, kind})
		}
		names[name] = p
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if what, kind := forbiddenNode(n, names); kind != "" {
			all = append(all, use{what, kind})
		}
		return true
	})
	return all
}

// forbiddenNode says what n is, if it may not stand in a pure room.
func forbiddenNode(n ast.Node, names map[string]string) (what, kind string) {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement", "goroutine"
	case *ast.SelectStmt:
		return "a select", "channel"
	case *ast.SendStmt:
		return "a send", "channel"
	case *ast.ChanType:
		return "a channel", "channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a receive", "channel"
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok {
			p := names[x.Name]
			return p + "." + n.Sel.Name, forbidden[p][n.Sel.Name]
		}
	}
	return "", ""
}

// impure lists the uses in s that no exemption covers.
func impure(s source) []string {
	var all []string
	for _, u := range uses(s) {
		if !slices.Contains(exempt[s.name].kinds, u.kind) {
			all = append(all, fmt.Sprintf("%s: %s (%s), in a room that may own no goroutines", s.name, u.what, u.kind))
		}
	}
	return all
}

// pureRooms are the rooms whose row says that they own no goroutines, the log
// with its disk port among them.
func pureRooms(t *testing.T) []string {
	var rooms []string
	for _, row := range table(t, "ARCHITECTURE.md", "| room | owns | may import | may own goroutines |") {
		if row[3] == "no" || row[3] == "the disk port only" {
			rooms = append(rooms, row[0])
		}
	}
	return rooms
}

// TestPureRooms holds every file of the rooms marked "no" to it.
func TestPureRooms(t *testing.T) {
	rooms := pureRooms(t)
	require.Contains(t, rooms, "codec")
	require.Contains(t, rooms, "wal")
	for _, s := range sources(t) {
		if s.test || !slices.Contains(rooms, s.room) {
			continue
		}
		for _, c := range impure(s) {
			t.Error(c)
		}
	}
}

// TestExemptionsAreNeeded keeps the list of exemptions short: a file that is
// there uses each kind that it is allowed.
func TestExemptionsAreNeeded(t *testing.T) {
	for _, s := range sources(t) {
		e, listed := exempt[s.name]
		if !listed {
			continue
		}
		var used []string
		for _, u := range uses(s) {
			used = append(used, u.kind)
		}
		for _, kind := range e.kinds {
			require.Contains(t, used, kind, "%s no longer needs its exemption (%s)", s.name, e.reason)
		}
	}
}

// TestImpurityIsCaught shows that each forbidden thing is seen, and that what
// looks like it is not.
func TestImpurityIsCaught(t *testing.T) {
	for _, c := range []struct{ imports, body, want string }{
		{"", "go f()", "go statement"},
		{"", "var c chan int; _ = c", "a channel"},
		{"", "c <- 1", "a send"},
		{"", "<-c", "a receive"},
		{"", "select {}", "a select"},
		{"sync", "var m sync.Mutex", "sync.Mutex"},
		{"sync", "var m struct{ sync.RWMutex }", "sync.RWMutex"},
		{"sync", "sync.NewCond(nil)", "sync.NewCond"},
		{"sync", "var m sync.WaitGroup", "sync.WaitGroup"},
		{"sync", "var m sync.Map", "sync.Map"},
		{"time", "time.Now()", "time.Now"},
		{"time", "f := time.Now; _ = f", "time.Now"},
		{"time", "time.Since(t)", "time.Since"},
		{"time", "time.Sleep(1)", "time.Sleep"},
		{"time", "time.AfterFunc(1, f)", "time.AfterFunc"},
		{"time", "time.NewTicker(1)", "time.NewTicker"},
		{"context", "context.WithTimeout(c, 1)", "context.WithTimeout"},
		{"math/rand", "rand.Int()", "package math/rand"},
		{"math/rand/v2", "rand.IntN(3)", "math/rand/v2.IntN"},
		{"crypto/rand", "rand.Read(b)", "package crypto/rand"},
		{"os", "os.Open(n)", "package os"},
		{"net", "net.Listen(a, b)", "package net"},
		{"syscall", "syscall.Flock(1, 2)", "syscall.Flock"},
		{"golang.org/x/sys/unix", "unix.Fsync(1)", "package golang.org/x/sys/unix"},
		{"sync/atomic", "var n atomic.Int64", ""},
		{"sync", "var p sync.Pool", ""},
		{"sync", "var o sync.Once", ""},
		{"time", "var d time.Duration = time.Second", ""},
		{"context", "context.Background()", ""},
		{"math/rand/v2", "rand.New(rand.NewPCG(1, 2))", ""},
		{"syscall", "_ = errors.Is(err, syscall.ENOSPC)", ""},
	} {
		text := "package x\n"
		if c.imports != "" {
			text += fmt.Sprintf("import %q\n", c.imports)
		}
		s, err := parse("codec/x.go", text+"func g() {\n"+c.body+"\n}\n")
		require.NoError(t, err, c.body)
		got := strings.Join(impure(s), "\n")
		if c.want == "" {
			require.Empty(t, got, c.body)
		} else {
			require.Contains(t, got, c.want, c.body)
		}
	}
	for _, text := range []string{
		"package x\nimport clock \"time\"\nvar f = clock.Now\n",
		"package x\nimport . \"time\"\nvar f = Now\n",
	} {
		s, err := parse("codec/x.go", text)
		require.NoError(t, err)
		require.NotEmpty(t, impure(s), text)
	}
}

// TestExemptionsAreNarrow shows that a listed file may use what is listed and
// nothing else.
func TestExemptionsAreNarrow(t *testing.T) {
	s, err := parse("wal/port.go", "package wal\nimport \"time\"\nfunc f() { go f(); time.Sleep(1) }\n")
	require.NoError(t, err)
	require.Len(t, impure(s), 1)
	require.Contains(t, impure(s)[0], "time.Sleep")
}
