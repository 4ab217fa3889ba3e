package codec

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page's table of codes is the code's, row by row.
func TestProtocolPageHasTheTableOfCodes(t *testing.T) {
	raw, err := os.ReadFile("../docs/PROTOCOL.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^(\| \d+ \| [A-Z_]+ \| (?:yes|no) \| -?\d+ \|).*$`).FindAllStringSubmatch(string(raw), -1)
	var got, want []string
	for _, r := range rows {
		got = append(got, r[1])
	}
	all := Codes()
	slices.Sort(all)
	for _, c := range all {
		retriable := map[bool]string{true: "yes", false: "no"}[c.Retriable()]
		want = append(want, fmt.Sprintf("| %d | %s | %s | %d |", uint16(c), c, retriable, c.Kafka()))
	}
	require.Equal(t, want, got)
}

func TestProtocolPageNamesEveryOperationAndLimit(t *testing.T) {
	raw, err := os.ReadFile("../docs/PROTOCOL.md")
	require.NoError(t, err)
	page := strings.ReplaceAll(string(raw), ",", "")
	for op, name := range opNames {
		require.Contains(t, page, fmt.Sprintf("%s (%d)", name, uint32(op)))
	}
	for _, limit := range []int{HelloFrameMax, FrameMax, FrameElementsMax, FrameDepthMax} {
		require.Contains(t, page, fmt.Sprint(limit))
	}
	require.Contains(t, page, "`"+Magic+"`")
}
