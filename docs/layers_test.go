package docs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layers is what ARCHITECTURE.md says about who may import whom.
type layers struct {
	rooms map[string][]string // room → rooms its code may import
	tests map[string][]string // room → rooms that its test files may import as well
	doors map[string][]string // module → rooms that may import it; "tests" and "room_test" as well
}

func readLayers(t *testing.T) layers {
	t.Helper()
	l := layers{rooms: map[string][]string{}, tests: map[string][]string{}, doors: map[string][]string{}}
	for _, row := range table(t, "ARCHITECTURE.md", "| room | owns | may import | may own goroutines |") {
		l.rooms[row[0]] = allowed(row[2])
	}
	for _, row := range table(t, "ARCHITECTURE.md", "| tests of | may also import | because |") {
		require.NotEmpty(t, row[2], "tests of %s reach further without a reason", row[0])
		l.tests[row[0]] = allowed(row[1])
	}
	for _, row := range table(t, "ARCHITECTURE.md", "| module | imported by |") {
		l.doors[row[0]] = strings.Fields(row[1])
	}
	return l
}

// allowed reads the cell "may import".
func allowed(cell string) []string {
	if cell == "everything" || cell == "everything but cmd" {
		return []string{cell}
	}
	return strings.Fields(cell)
}

// complaints lists what s imports and should not.
func (l layers) complaints(s source) []string {
	rooms, known := l.rooms[s.room]
	if !known {
		return []string{fmt.Sprintf("%s: the room %s has no row in docs/ARCHITECTURE.md", s.name, s.room)}
	}
	if s.test {
		rooms = slices.Concat(rooms, l.tests[s.room], []string{s.room})
	}
	var all []string
	for _, p := range s.imports() {
		if room, ours := strings.CutPrefix(p, module+"/"); ours {
			if !covers(rooms, room) {
				all = append(all, fmt.Sprintf("%s: imports %s, which its row in docs/ARCHITECTURE.md does not allow", s.name, room))
			}
		} else if strings.Contains(strings.Split(p, "/")[0], ".") && !l.open(p, s) {
			all = append(all, fmt.Sprintf("%s: imports %s, whose door is elsewhere (docs/ARCHITECTURE.md)", s.name, p))
		}
	}
	return all
}

func covers(rooms []string, room string) bool {
	switch {
	case slices.Contains(rooms, "everything"):
		return true
	case slices.Contains(rooms, "everything but cmd"):
		return !strings.HasPrefix(room, "cmd/")
	}
	return slices.Contains(rooms, room)
}

// open says whether s stands at the door of the module that holds package p.
func (l layers) open(p string, s source) bool {
	longest := ""
	for m := range l.doors {
		if (p == m || strings.HasPrefix(p, m+"/")) && len(m) > len(longest) {
			longest = m
		}
	}
	at := l.doors[longest]
	return slices.Contains(at, s.room) || s.test && (slices.Contains(at, "tests") || slices.Contains(at, s.room+"_test"))
}

// TestImportsGoDownTheTable holds the imports of every file to the tables of
// ARCHITECTURE.md.
func TestImportsGoDownTheTable(t *testing.T) {
	l := readLayers(t)
	for _, s := range sources(t) {
		for _, c := range l.complaints(s) {
			t.Error(c)
		}
	}
}

// TestTheTableItself holds the table to its own law: rooms import only rooms
// above them that have a row, and no row is reached from itself.
func TestTheTableItself(t *testing.T) {
	l := readLayers(t)
	above := []string{}
	for _, row := range table(t, "ARCHITECTURE.md", "| room | owns | may import | may own goroutines |") {
		if !strings.HasPrefix(row[2], "everything") {
			require.Subset(t, above, l.rooms[row[0]], "row %s imports a room that is not above it", row[0])
		}
		above = append(above, row[0])
	}
	for room, also := range l.tests {
		require.Subset(t, above, append(also, room))
	}
	for m, rooms := range l.doors {
		for _, room := range rooms {
			require.Contains(t, append(above, "tests"), strings.TrimSuffix(room, "_test"), "the door of %s", m)
		}
	}
}

// TestLayersAreCaught shows that each kind of trespass is seen.
func TestLayersAreCaught(t *testing.T) {
	l := readLayers(t)
	for _, c := range []struct{ file, imports, complaint string }{
		{"codec/x.go", "fmt", ""},
		{"wal/x.go", module + "/codec", ""},
		{"codec/x.go", module + "/wal", "does not allow"},
		{"gateway/x.go", module + "/actors", "does not allow"},
		{"gateway/x_test.go", module + "/actors", ""},
		{"wal/x.go", module + "/simulations/world", "does not allow"},
		{"wal/x_test.go", module + "/simulations/world", ""},
		{"wal/x_test.go", module + "/wal", ""},
		{"cmd/troupe/x.go", module + "/actors", ""},
		{"simulations/world/x.go", module + "/actors", ""},
		{"simulations/world/x.go", module + "/cmd/troupe", "does not allow"},
		{"attic/x.go", "fmt", "has no row"},
		{"actors/x.go", "github.com/asynkron/protoactor-go/actor", ""},
		{"gateway/x.go", "github.com/asynkron/protoactor-go/actor", "door is elsewhere"},
		{"codec/x.go", "github.com/tidwall/wal", "door is elsewhere"},
		{"simulations/world/x.go", "github.com/tidwall/wal", "door is elsewhere"},
		{"simulations/world/x_test.go", "github.com/tidwall/wal", ""},
		{"codec/x.go", "github.com/klauspost/compress/zstd", ""},
		{"codec/x.go", "github.com/stretchr/testify/require", "door is elsewhere"},
		{"codec/x_test.go", "github.com/stretchr/testify/require", ""},
		{"codec/x_test.go", "github.com/twmb/franz-go/pkg/kmsg", ""},
		{"codec/x.go", "github.com/twmb/franz-go/pkg/kmsg", "door is elsewhere"},
		{"actors/x.go", "github.com/sirupsen/logrus", "door is elsewhere"},
		{"codec/x.go", "example.com/unheard/of", "door is elsewhere"},
	} {
		s, err := parse(c.file, fmt.Sprintf("package x\nimport _ %q\n", c.imports))
		require.NoError(t, err)
		got := strings.Join(l.complaints(s), "\n")
		if c.complaint == "" {
			require.Empty(t, got, "%s imports %s", c.file, c.imports)
		} else {
			require.Contains(t, got, c.complaint, "%s imports %s", c.file, c.imports)
		}
	}
}
