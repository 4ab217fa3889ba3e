package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Commands get through a door that asks who they are by a certificate, or by a
// token; and are told what is missing.
func TestWhoCommandsAre(t *testing.T) {
	dir := t.TempDir()
	certs := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{{"init"}, {"node", "n1"}, {"client", "ann"}} {
		require.NoError(t, command("", append(append([]string{"certs"}, args...), "--dir", dir)...).failed)
	}
	require.NoError(t, os.WriteFile(certs("tokens"), []byte("# a comment\nbob  0123456789abcdef\n"), 0o600))
	require.NoError(t, os.WriteFile(certs("token"), []byte("0123456789abcdef\n"), 0o600))
	require.NoError(t, os.WriteFile(certs("wrong"), []byte("fedcba9876543210\n"), 0o600))
	n, err := startNode(context.Background(), serveConfig{Data: certs("data"), Node: "n1", Listen: "127.0.0.1:0", Tokens: certs("tokens"),
		TLSCert: certs("broker-n1.crt"), TLSKey: certs("broker-n1.key"), TLSCA: certs("ca.crt")}, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, n.stop()) }()
	try := func(more ...string) said {
		return command("", append([]string{"topic", "list", "--server", n.listen.String()}, more...)...)
	}
	ca := []string{"--tls-ca", certs("ca.crt")}
	require.NoError(t, try(append(ca, "--tls-cert", certs("client-ann.crt"), "--tls-key", certs("client-ann.key"))...).failed)
	require.NoError(t, try(append(ca, "--token-file", certs("token"))...).failed)
	t.Setenv("TROUPE_TLS_CA", certs("ca.crt"))
	t.Setenv("TROUPE_TOKEN_FILE", certs("token"))
	require.NoError(t, try().failed)
	require.ErrorContains(t, try("--token-file", certs("wrong")).failed, "AUTH_FAILED: the token is not known here")
	t.Setenv("TROUPE_TOKEN_FILE", "")
	require.ErrorContains(t, try().failed, "AUTH_FAILED: the client has to show who it is")
	require.ErrorContains(t, try("--tls-cert", certs("client-ann.crt")).failed, "--tls-cert and --tls-key belong together")
	require.ErrorContains(t, try("--token-file", certs("nowhere")).failed, "no such file")
	t.Setenv("TROUPE_TLS_CA", "")
	require.ErrorContains(t, try().failed, "this door speaks TLS")
	require.ErrorContains(t, try("--tls-cert", certs("client-ann.crt"), "--tls-key", certs("client-ann.key")).failed, "--tls-ca is missing")
}

func TestParseTokens(t *testing.T) {
	for text, says := range map[string]string{
		"ann":                   "line 1: want the name of a client and its token",
		"\nann one two":         "line 2: want the name",
		"an/n 0123456789abcdef": "line 1: name",
		"ann short":             "line 1: the token of ann has 5 bytes: want 16 to 512",
		"ann 0123456789abcdef\nbob 0123456789abcdef": "line 2: bob has the same token as ann",
	} {
		_, err := parseTokens(text)
		require.ErrorContains(t, err, says, text)
	}
}

// A file that is changed counts; one that is changed badly does not.
func TestTokensAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("ann 0123456789abcdef\n"), 0o600))
	said := 0
	tk, err := readTokens(file, func(string, ...any) { said++ })
	require.NoError(t, err)
	later := func() { tk.looked = time.Now().Add(-2 * tokensEvery) }
	who, ok := tk.who("0123456789abcdef")
	require.True(t, ok)
	require.Equal(t, "ann", who.Name)
	require.NoError(t, os.WriteFile(file, []byte("ann a-token-that-is-another\n"), 0o600))
	later()
	_, ok = tk.who("0123456789abcdef")
	require.False(t, ok)
	_, ok = tk.who("a-token-that-is-another")
	require.True(t, ok)
	require.NoError(t, os.WriteFile(file, []byte("nonsense\n"), 0o600))
	later()
	_, ok = tk.who("a-token-that-is-another")
	require.True(t, ok)
	require.Equal(t, 1, said)
}
