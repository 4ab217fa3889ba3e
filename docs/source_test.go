package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/troupe-mq/troupe"

// source is one Go file of the project, parsed.
type source struct {
	name string // from the root of the project, with slashes
	room string // its folder
	test bool
	ast  *ast.File
}

// sources parses every Go file of the project's own module, in order of name.
func sources(t *testing.T) []source {
	t.Helper()
	root := ".."
	var all []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(name, root+string(filepath.Separator)))
		if d.IsDir() && name != root && outside(name, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(rel, string(text))
		all = append(all, s)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// outside says whether a folder is no part of the module's packages.
func outside(name, base string) bool {
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func parse(name, text string) (source, error) {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	return source{name: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: f}, err
}

// imports lists the import paths of s.
func (s source) imports() []string {
	var all []string
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic("docs: import path " + spec.Path.Value)
		}
		all = append(all, p)
	}
	return all
}

// table reads the rows of the Markdown table whose header begins with the
// given cells, without backquotes.
func table(t *testing.T, page, header string) [][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+header+"\n|---")
	require.True(t, found, "%s has no table %q", page, header)
	_, rest, _ = strings.Cut(rest, "\n")
	var rows [][]string
	for line := range strings.SplitSeq(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "`", ""))
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows)
	return rows
}
