package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// papers are certificates and a key of the gossip for a crowd.
func (c *crowd) papers(names ...string) {
	dir := filepath.Join(c.dir, "certs")
	require.NoError(c, command("", "certs", "init", "--dir", dir).failed)
	for _, n := range names {
		require.NoError(c, command("", "certs", "node", n, "--dir", dir).failed)
	}
	require.NoError(c, command("", "certs", "client", "x", "--service", "--dir", dir).failed)
	require.NoError(c, os.WriteFile(filepath.Join(c.dir, "gossip.key"), []byte(command("", "keygen").out), 0o600))
}

// shows are flags for who shows the certificate of one.
func (c *crowd) shows(who string) []string {
	dir := filepath.Join(c.dir, "certs")
	return []string{"--tls-cert", filepath.Join(dir, who+".crt"), "--tls-key", filepath.Join(dir, who+".key"), "--tls-ca", filepath.Join(dir, "ca.crt"),
		"--gossip", "127.0.0.1:0", "--gossip-key", filepath.Join(c.dir, "gossip.key")}
}

// With certificates of one authority, and a key, three found a cluster; who shows
// another's certificate, a service's, or none, does not come in.
func TestAClusterWithCertificates(t *testing.T) {
	c := newCrowd(t, "n1", "n2")
	c.papers("n1", "n2", "n3", "n4")
	var all []*broker
	for n := range c.links {
		all = append(all, c.start(n, append(c.shows("broker-"+n), "--join", c.join)...))
	}
	id := all[0].isReady("cluster")
	require.Equal(t, id, all[1].isReady("cluster"))

	c.place("n3")
	in := c.links["n1"]
	wrong := c.start("n3", append(c.shows("broker-n4"), "--join", in)...)
	require.ErrorContains(t, wrong.ends(), `is the certificate of troupe://broker/n4, and this is node "n3": make one with troupe certs node n3, or say --node`)
	service := c.start("n3", append(c.shows("service-x"), "--join", in)...)
	require.ErrorContains(t, service.ends(), `is the certificate of troupe://service/x`)
	plain := c.start("n3", "--join", in)
	require.ErrorContains(t, plain.ends(), "AUTH_REQUIRED")
	noKey := c.start("n3", append(c.shows("broker-n3")[:6], "--gossip", "127.0.0.1:0", "--join", in)...)
	require.ErrorContains(t, noKey.ends(), "--gossip-key is missing, and the link has TLS: make one for all brokers with troupe keygen")

	other := newCrowd(t)
	other.papers("n3")
	strange := c.start("n3", append(other.shows("broker-n3"), "--join", in)...)
	require.ErrorContains(t, strange.ends(), fmt.Sprintf("AUTH_FAILED: join by %s: its certificate is of an authority that this side does not know: give both certificates of one", in))
	knows := append(other.shows("broker-n3"), "--join", in)
	knows[5] = filepath.Join(c.dir, "both.crt")
	var both []byte
	for _, dir := range []string{c.dir, other.dir} {
		one, err := os.ReadFile(filepath.Join(dir, "certs", "ca.crt"))
		require.NoError(t, err)
		both = append(both, one...)
	}
	require.NoError(t, os.WriteFile(knows[5], both, 0o600))
	strange = c.start("n3", knows...)
	require.ErrorContains(t, strange.ends(), fmt.Sprintf("AUTH_FAILED: join by %s: it does not take this side's certificate: give both certificates of one authority", in))

	keyed := append(c.shows("broker-n3"), "--join", in)
	keyed[9] = filepath.Join(other.dir, "gossip.key")
	three := c.start("n3", keyed...)
	require.ErrorContains(t, three.ends(), "has other keys of the gossip: give this one the file of the others with --gossip-key")
	three = c.start("n3", append(c.shows("broker-n3"), "--join", in)...)
	require.Equal(t, id, three.isReady("cluster"))
	require.NoError(t, three.stop())
	three = c.start("n3", keyed...)
	require.Equal(t, id, three.isReady("cluster"), "for who belongs to the cluster the gossip is no more than a hint")
	three.logs("has other keys of the gossip: give this one the file of the others with --gossip-key")
	require.NoError(t, three.stop())
	three = c.start("n3", append(c.shows("broker-n3"), "--join", in)...)
	require.Equal(t, id, three.isReady("cluster"))
}
