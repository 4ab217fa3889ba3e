package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/gateway"
	"github.com/troupe-mq/troupe/gateway/client"
)

// reach is how a command reaches brokers: where they are, and what it shows them.
type reach struct {
	servers []string
	creds   *trust.Credentials // nil: no TLS
	token   string
}

// reach reads the flags, and the environment for those that were not given.
func (r *remote) reach(c *cobra.Command) (to reach, err error) {
	if to.servers, err = r.addresses(c); err != nil {
		return to, err
	}
	files := trust.Files{CA: orEnv(c, "tls-ca", r.tlsCA), Cert: orEnv(c, "tls-cert", r.tlsCert), Key: orEnv(c, "tls-key", r.tlsKey)}
	switch {
	case (files.Cert == "") != (files.Key == ""):
		return to, usagef("--tls-cert and --tls-key belong together")
	case files.CA == "" && files.Cert != "":
		return to, usagef("--tls-ca is missing: it says which brokers are believed")
	case files.CA != "":
		if to.creds, err = trust.Load(files, nil); err != nil {
			return to, err
		}
	}
	if file := orEnv(c, "token-file", r.tokenFile); file != "" {
		p, err := os.ReadFile(file)
		if err != nil {
			return to, err
		}
		to.token = strings.TrimSpace(string(p))
	}
	return to, nil
}

// orEnv is a flag, or the variable of it when it was not given.
func orEnv(c *cobra.Command, flag, value string) string {
	if v, _, there := fromEnvironment(flag); there && !c.Flags().Changed(flag) {
		return v
	}
	return value
}

// dial connects to the first that answers.
func (to reach) dial(ctx context.Context) (*client.Client, error) {
	o := client.Options{Token: to.token}
	if to.creds != nil {
		o.TLS = to.creds.Client(gateway.ALPN, nil)
	}
	return dial(ctx, to.servers, o)
}

// at is the same towards one other broker.
func (to reach) at(address string) reach {
	to.servers = []string{address}
	return to
}
