package client

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func page(t *testing.T) string {
	text, err := os.ReadFile("../../docs/CLIENT.md")
	require.NoError(t, err)
	return string(text)
}

// The Go in docs/CLIENT.md stands in examples, which run.
func TestThePagesGoRuns(t *testing.T) {
	examples, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	there := trimmedLines(string(examples))
	blocks := strings.Split(page(t), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		b, _, ok := strings.Cut(b, "```")
		require.True(t, ok)
		require.Contains(t, there, trimmedLines(b), "this is in no example")
	}
}

// trimmedLines is text without what indents its lines.
func trimmedLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// The table of codes says what TestWhatIsSentAgain has seen.
func TestThePagesTableOfCodes(t *testing.T) {
	_, table, ok := strings.Cut(page(t), "| code | sent again | safe to send again |\n|---|---|---|\n| ")
	require.True(t, ok)
	row, _, _ := strings.Cut(table, " |")
	var said, are []string
	said = strings.Split(row, ", ")
	for _, c := range codec.Codes() {
		if c.Retriable() {
			are = append(are, c.String())
		}
	}
	require.ElementsMatch(t, are, said)
}
