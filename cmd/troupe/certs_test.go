package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/trust"
)

// An authority and what it signs: files that a broker can load, and a person
// can look at.
func TestCerts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	do := func(args ...string) string {
		r := command("", append([]string{"certs"}, args...)...)
		require.NoError(t, r.failed)
		require.Empty(t, r.err)
		return r.out
	}
	require.Contains(t, do("init", "--dir", dir), "ca.key, which stays with you\nnext: troupe certs node NAME --dir "+dir)
	require.Contains(t, do("node", "n1", "--dir", dir, "--host", "n1.example.com", "--host", "10.0.0.1"), "broker-n1.key, of troupe://broker/n1\nnext: copy both and "+dir+"/ca.crt")
	do("client", "ann", "--dir", dir)
	do("client", "billing", "--dir", dir, "--service", "--days", "7")
	for _, name := range []string{"broker-n1", "client-ann", "service-billing"} {
		_, err := trust.Load(trust.Files{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, "ca.crt")}, nil)
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, name+".key"))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}

	shown := do("show", filepath.Join(dir, "broker-n1.crt"))
	require.Regexp(t, `name +troupe://broker/n1\nhosts +n1.example.com, 10.0.0.1\nissuer +CN=troupe authority\nfrom +\S+\nuntil +\S+, in 36[45] days\nsha256 +[0-9a-f]{64}\n$`, shown)
	require.Contains(t, do("show", filepath.Join(dir, "ca.crt")), "an authority")
	one := fromJSON[trust.Shape](t, do("show", filepath.Join(dir, "service-billing.crt"), "-o", "json"))
	require.Len(t, one, 1)
	require.Equal(t, "troupe://service/billing", one[0].Name)
	require.WithinDuration(t, time.Now().Add(7*day), one[0].Until, time.Minute)
}

func TestCertsRefuses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, command("", "certs", "init", "--dir", dir).failed)
	require.NoError(t, command("", "certs", "node", "n1", "--dir", dir).failed)
	key, err := os.ReadFile(filepath.Join(dir, "broker-n1.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "junk"), []byte("junk"), 0o600))
	for _, w := range []wrong{
		{"certs init --dir {at}", 1, "{at}/ca.key is there: --force replaces it"},
		{"certs node n1 --dir {at}", 1, "{at}/broker-n1.key is there: --force replaces it"},
		{"certs node n2 --dir {at}/nope", 1, "there is no authority in {at}/nope: make one with troupe certs init --dir {at}/nope, or say where it is with --dir"},
		{"certs node a/b --dir {at}", 2, `name "a/b" has '/': only a-z A-Z 0-9 . _ - are allowed`},
		{"certs node .. --dir {at}", 2, `name "..": want 1 to 255 of a-z A-Z 0-9 . _ -, and not . or ..`},
		{"certs node n2 --dir {at} --host n2:9651", 1, `host "n2:9651": want a DNS name or an IP address, without a port`},
		{"certs node n2 --dir {at} --days 0", 2, "--days 0: want 1 to 36500"},
		{"certs node", 2, "accepts 1 arg(s), received 0: see troupe certs node --help"},
		{"certs sign", 2, `unknown command "sign" for "troupe certs": see troupe certs --help`},
		{"certs show {at}/junk", 1, "{at}/junk: no certificate in PEM is in it"},
		{"certs show {at}/nope", 1, "open {at}/nope: no such file or directory"},
	} {
		w.check(t, dir)
	}
	again, err := os.ReadFile(filepath.Join(dir, "broker-n1.key"))
	require.NoError(t, err)
	require.Equal(t, key, again)

	require.NoError(t, command("", "certs", "node", "n1", "--dir", dir, "--force").failed)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, n := range names {
		require.False(t, strings.HasSuffix(n.Name(), ".new"))
	}
}
