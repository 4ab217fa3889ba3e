package main

import (
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
)

func newCerts(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "certs", Short: "Make certificates of a private authority, and look at some", Args: cobra.NoArgs,
		Long: `Make what brokers of a cluster show each other over TLS: an authority of your
own, and certificates that it signs. Nothing leaves this machine.`,
		Example: `  troupe certs init --dir certs
  troupe certs node n1 --dir certs --host n1.example.com --host 10.0.0.1
  troupe certs client ann --dir certs
  troupe certs show certs/broker-n1.crt`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCertsInit(s), newCertsNode(s), newCertsClient(s), newCertsShow(s))
	return c
}

// certsVerb is what the verbs that make certificates have in common.
type certsVerb struct {
	dir   string
	days  int
	force bool
}

func (v *certsVerb) flags(c *cobra.Command, holds time.Duration) *cobra.Command {
	c.Flags().StringVar(&v.dir, "dir", "certs", "directory of the authority and of what it signs")
	c.Flags().IntVar(&v.days, "days", int(holds/day), "days for which it holds")
	c.Flags().BoolVar(&v.force, "force", false, "replace files that are there")
	complete(c, "dir", directories)
	return c
}

const day = 24 * time.Hour

// daysMax is a hundred years.
const daysMax = 36_500

func (v *certsVerb) holds() (time.Duration, error) {
	if v.days < 1 || v.days > daysMax {
		return 0, usagef("--days %d: want 1 to %d", v.days, daysMax)
	}
	return time.Duration(v.days) * day, nil
}

func newCertsInit(s streams) *cobra.Command {
	var v certsVerb
	c := &cobra.Command{
		Use: "init", Short: "Make the authority", Args: cobra.NoArgs,
		Long: `Make an authority: ca.crt, which goes to every machine, and ca.key, which signs
and goes to none. With --force it is another authority, and what the one before
signed is believed by nobody who has only the new ca.crt.`,
		Example: "  troupe certs init --dir certs",
		RunE: func(*cobra.Command, []string) error {
			holds, err := v.holds()
			if err != nil {
				return err
			}
			p, err := trust.NewAuthority(time.Now(), holds)
			if err != nil {
				return err
			}
			cert, key := filepath.Join(v.dir, trust.AuthorityCert), filepath.Join(v.dir, trust.AuthorityKey)
			if err := trust.Write(p, cert, key, v.force); err != nil {
				return err
			}
			return tell(s, "wrote %s, which goes to every machine, and %s, which stays with you\nnext: troupe certs node NAME --dir %s --host HOST, for each broker\n", cert, key, v.dir)
		},
	}
	return v.flags(c, trust.AuthorityFor)
}

func newCertsNode(s streams) *cobra.Command {
	var v certsVerb
	var hosts []string
	c := &cobra.Command{
		Use: "node NAME", Short: "Make a broker's certificate", Args: cobra.ExactArgs(1),
		Long: `Make the certificate of the broker NAME, which is what its --node says. Brokers
know each other by that name; --host is for clients, which know an address.`,
		Example: "  troupe certs node n1 --dir certs --host n1.example.com --host 10.0.0.1",
		RunE: func(_ *cobra.Command, args []string) error {
			return v.issue(s, trust.Order{Identity: codec.Identity{Role: codec.RoleBroker, Name: args[0]}, Hosts: hosts})
		},
	}
	c.Flags().StringArrayVar(&hosts, "host", nil, "DNS name or IP address by which clients reach it; repeatable")
	return v.flags(c, trust.IssuedFor)
}

func newCertsClient(s streams) *cobra.Command {
	var v certsVerb
	var service bool
	c := &cobra.Command{
		Use: "client NAME", Short: "Make a client's certificate", Args: cobra.ExactArgs(1),
		Example: "  troupe certs client ann --dir certs\n  troupe certs client billing --dir certs --service",
		RunE: func(_ *cobra.Command, args []string) error {
			role := codec.RoleClient
			if service {
				role = codec.RoleService
			}
			return v.issue(s, trust.Order{Identity: codec.Identity{Role: role, Name: args[0]}})
		},
	}
	c.Flags().BoolVar(&service, "service", false, "of a service, a Go program that attaches its actors to brokers")
	return v.flags(c, trust.IssuedFor)
}

// issue signs what was ordered, and keeps it beside the authority.
func (v *certsVerb) issue(s streams, o trust.Order) (err error) {
	if o.Holds, err = v.holds(); err != nil {
		return err
	}
	if err := o.Identity.Check(); err != nil {
		return usage{err}
	}
	authority, err := trust.ReadAuthority(v.dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("there is no authority in %s: make one with troupe certs init --dir %s, or say where it is with --dir", v.dir, v.dir)
	}
	if err != nil {
		return err
	}
	p, err := trust.Issue(authority, o, time.Now())
	if err != nil {
		return err
	}
	cert, key := trust.FilesOf(v.dir, o.Identity)
	if err := trust.Write(p, cert, key, v.force); err != nil {
		return err
	}
	return tell(s, "wrote %s and %s, of %s\nnext: copy both and %s to where it runs, and nothing else\n", cert, key, o.Identity, filepath.Join(v.dir, trust.AuthorityCert))
}

// tell writes a result for people.
func tell(s streams, format string, args ...any) error {
	_, err := fmt.Fprintf(s.out, format, args...)
	return err
}

func newCertsShow(s streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "show FILE", Short: "Look at the certificates of a file, with -o json one a line", Args: cobra.ExactArgs(1), Example: "  troupe certs show certs/broker-n1.crt",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"crt", "pem"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			all, err := trust.ParseCerts(p)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, cert := range all {
				if err := showCert(s, output, trust.ShapeOf(cert, time.Now())); err != nil {
					return err
				}
			}
			return nil
		},
	}
	outputFlag(c, &output)
	return c
}

func showCert(s streams, output string, c trust.Shape) error {
	if output == "json" {
		return json.NewEncoder(s.out).Encode(c)
	}
	name := c.Name
	switch {
	case c.Authority:
		name = "an authority"
	case name == "":
		name = "nobody"
	}
	rows := [][]any{{"name", name}}
	if len(c.Hosts) > 0 {
		rows = append(rows, []any{"hosts", strings.Join(c.Hosts, ", ")})
	}
	rows = append(rows, []any{"issuer", c.Issuer}, []any{"from", c.From.Format(time.RFC3339)},
		[]any{"until", fmt.Sprintf("%s, in %d days", c.Until.Format(time.RFC3339), int(time.Until(c.Until)/day))}, []any{"sha256", c.Fingerprint})
	if c.Trouble != "" {
		rows = append(rows, []any{"trouble", c.Trouble})
	}
	return columns(s.out, rows...)
}
