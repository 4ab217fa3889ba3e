package docs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestServiceExample runs the service of docs/examples, a process of its own, beside the
// built broker: without TLS on loopback, and with the certificates of an authority.
func TestServiceExample(t *testing.T) {
	troupe, service := build(t, "./cmd/troupe"), build(t, "./docs/examples/service")
	certs := t.TempDir()
	for _, verb := range [][]string{{"init"}, {"node", "n1", "--host", "127.0.0.1"}, {"client", "billing", "--service"}, {"client", "ann"}} {
		require.NoError(t, run(t.Context(), ".", nil, troupe, append(append([]string{"certs"}, verb...), "--dir", certs)...))
	}
	flags := func(who string) []string {
		return []string{"--tls-cert", filepath.Join(certs, who+".crt"), "--tls-key", filepath.Join(certs, who+".key"), "--tls-ca", filepath.Join(certs, "ca.crt")}
	}
	for name, c := range map[string]struct{ broker, client, service []string }{
		"on loopback":       {},
		"with certificates": {flags("broker-n1"), flags("client-ann"), flags("service-billing")},
	} {
		t.Run(name, func(t *testing.T) {
			link := freeAddress(t)
			listen := serve(t, troupe, append(c.broker, "--link", link, "--gossip", "none")...)
			do := func(in string, args ...string) string {
				t.Helper()
				said, err := outputOf(t.Context(), ".", nil, strings.NewReader(in), troupe, append(append(args, "--server", listen), c.client...)...)
				require.NoError(t, err)
				return said
			}
			do("", "topic", "create", "bookings")
			do("", "topic", "create", "invoices")
			var lines strings.Builder
			for i := range 100 {
				fmt.Fprintf(&lines, "booking %d\n", i)
			}
			do(lines.String(), "produce", "bookings")
			said, err := output(t.Context(), ".", nil, service, append(c.service, "--brokers", link)...)
			require.NoError(t, err)
			require.Equal(t, "100 invoices stored\n", said)
			invoices := strings.Split(strings.TrimSpace(do("", "consume", "invoices")), "\n")
			require.Len(t, invoices, 100)
			require.Equal(t, "invoice for booking 0", invoices[0])
			require.Equal(t, "invoice for booking 99", invoices[99])
		})
	}
}

// TestThePageOfServices holds the Go of SERVICE.md to the example, and its table to the
// messages that there are.
func TestThePageOfServices(t *testing.T) {
	page, err := os.ReadFile("SERVICE.md")
	require.NoError(t, err)
	example, err := os.ReadFile("examples/service/main.go")
	require.NoError(t, err)
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		require.Contains(t, string(example), b)
	}
	messages, err := os.ReadFile("../codec/messages.go")
	require.NoError(t, err)
	_, calls, _ := strings.Cut(string(messages), "func CallOf")
	calls, _, _ = strings.Cut(calls, "\nfunc ")
	cases := regexp.MustCompile(`case \*(\w+):`).FindAllStringSubmatch(calls, -1)
	require.Len(t, cases, 7)
	for _, c := range cases {
		require.Contains(t, string(page), "| `*codec."+c[1]+"` |")
	}
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
