package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// load fills in what no flag has set: from the environment, then the file. A
// value that is there and empty counts: it is how --http is switched off.
func (c *serveConfig) load(cmd *cobra.Command, file string) error {
	if file == "" {
		file = os.Getenv("TROUPE_CONFIG")
	}
	from := map[string]string{}
	if file != "" {
		var err error
		if from, err = readConfig(file); err != nil {
			return err
		}
	}
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil || f.Name == "config" || f.Name == "help" {
			return
		}
		value, source, there := fromEnvironment(f.Name)
		if !there {
			value, there = from[f.Name]
			source = file
		}
		if !there {
			return
		}
		if err := f.Value.Set(value); err != nil {
			failed = usagef("%s from %s: %w", f.Name, source, err)
		}
	})
	return errors.Join(failed)
}

// readConfig reads a YAML file. A key that serve does not know is an error
// that names its line. Values are the file's own characters: 007 stays 007;
// a key without a value, and null, are as if they were not there.
func readConfig(name string) (map[string]string, error) {
	p, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(p))
	d.KnownFields(true)
	var known serveConfig
	if err := d.Decode(&known); err != nil && !errors.Is(err, io.EOF) {
		return nil, usagef("configuration %s: %s", name, explainYAML(err))
	}
	values := map[string]yaml.Node{}
	if err := yaml.Unmarshal(p, &values); err != nil {
		return nil, usagef("configuration %s: %w", name, err)
	}
	out := make(map[string]string, len(values))
	for k, v := range values {
		n := &v
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.ShortTag() != "!!null" {
			out[k] = n.Value
		}
	}
	return out, nil
}

// wanted is what a person writes for a type of Go.
var wanted = map[string]string{
	"time.Duration": "a time such as 500ms, 30s or 5m", "int": "a number", "bool": "true or false", "string": "a text",
}

// explainYAML says "line 3: no setting "dta"" instead of naming a Go type.
func explainYAML(err error) string {
	var t *yaml.TypeError
	if !errors.As(err, &t) {
		return err.Error()
	}
	lines := make([]string, len(t.Errors))
	for i, e := range t.Errors {
		at, rest, found := strings.Cut(e, ": field ")
		if name, _, ok := strings.Cut(rest, " not found in type"); found && ok {
			e = fmt.Sprintf("%s: there is no setting %q; the settings are the flags of troupe serve", at, name)
		}
		if at, rest, found := strings.Cut(e, ": cannot unmarshal "); found {
			if value, kind, ok := strings.Cut(rest, " into "); ok && wanted[kind] != "" {
				_, value, _ = strings.Cut(value, " ")
				e = fmt.Sprintf("%s: %s: want %s", at, value, wanted[kind])
			}
		}
		lines[i] = e
	}
	return strings.Join(lines, "; ")
}

// checkAddress refuses an address that others can reach, unless it was said
// that this is meant.
func (c *serveConfig) checkAddress(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("--%s %q: want HOST:PORT, such as 127.0.0.1:9650", flag, address)
	}
	if c.Insecure || isLoopback(host) || c.TLSCert != "" && flag == "listen" {
		return nil
	}
	return usagef("--%s %s can be reached by others, without TLS and without showing who they are: use 127.0.0.1, give --tls-cert, --tls-key and --tls-ca (see troupe certs), or say --insecure", flag, address)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkLink checks what others are to reach of this broker.
func (c *serveConfig) checkLink() error {
	with, without := 0, []string{}
	for _, f := range []struct{ flag, value string }{{"tls-cert", c.TLSCert}, {"tls-key", c.TLSKey}, {"tls-ca", c.TLSCA}} {
		if f.value != "" {
			with++
		} else {
			without = append(without, "--"+f.flag)
		}
	}
	if with != 0 && len(without) > 0 {
		return usagef("%s is missing: TLS wants --tls-cert, --tls-key and --tls-ca, see troupe certs", strings.Join(without, ", "))
	}
	for _, a := range addressesOf(c.Join) {
		if _, port, err := net.SplitHostPort(a); err != nil || port == "" || port == "0" {
			return usagef("--join %q: want HOST:PORT of a broker's link, such as %s, or several with commas between them", a, linkDefault)
		}
	}
	if !c.wantsLink() {
		return c.alone()
	}
	at := c.Link
	if at == "" {
		at = linkDefault
	}
	host, _, err := net.SplitHostPort(at)
	switch {
	case err != nil:
		return usagef("--link %q: want HOST:PORT, such as %s", at, linkDefault)
	case c.AdvertiseLink == "" && isWildcard(host):
		return usagef("--link %s does not say where others reach it: add --advertise-link HOST:PORT", at)
	case c.Advertise == "" && c.anywhere():
		return usagef("--listen %s does not say where clients reach this broker, and the others of its cluster have to send them to it: add --advertise HOST:PORT", c.Listen)
	case c.TLSCert == "" && !c.Insecure && !isLoopback(host):
		return usagef("--link %s can be reached by others: give --tls-cert, --tls-key and --tls-ca (see troupe certs), use 127.0.0.1, or say --insecure", at)
	}
	return c.checkGossip()
}

// anywhere says whether clients come in at every address of this machine. (Port 0, which
// is for trials, is let pass: cluster status says what comes of it.)
func (c *serveConfig) anywhere() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && isWildcard(host)
}

// alone refuses what only means something with a link.
func (c *serveConfig) alone() error {
	for _, f := range []struct{ flag, value string }{{"advertise-link", c.AdvertiseLink}, {"gossip", c.Gossip}} {
		if f.value != "" {
			return usagef("--%s without a link: add --link HOST:PORT, or --join", f.flag)
		}
	}
	return nil
}
