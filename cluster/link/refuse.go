package link

import (
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// claim is what somebody who dials says of itself, and what it has shown.
type claim struct {
	*codec.Greeting
	secure bool            // the connection is TLS
	shown  *codec.Identity // of its certificate; nil without
	bad    error           // why its certificate names nobody
}

// refusal says why a claim is not accepted by self; nil when it is. Each says
// what to do instead. Who is not known is told nothing about this cluster.
func refusal(self Self, life uint64, c claim) *codec.Error {
	if err := c.unproven(); err != nil {
		return err
	}
	switch {
	case c.VersionMin > codec.LinkVersion || c.VersionMax < codec.LinkVersion:
		return codec.Errorf(codec.VersionUnknown, "versions %d to %d of the link: this broker speaks %d; update the older of the two", c.VersionMin, c.VersionMax, codec.LinkVersion)
	case c.Purpose == codec.PurposeService && c.Role != codec.RoleService:
		return codec.Errorf(codec.Denied, "a %s is no service: purpose %q is for services", c.Role, c.Purpose)
	case c.Purpose != codec.PurposeControl && c.Purpose != codec.PurposeBulk && c.Purpose != codec.PurposeQuestions && c.Purpose != codec.PurposeService:
		return codec.Errorf(codec.OpUnknown, "purpose %q: this broker knows control, bulk, questions and service", c.Purpose)
	case c.Role != codec.RoleBroker && c.Purpose != codec.PurposeService:
		return codec.Errorf(codec.Denied, "a %s may not do what brokers do: purpose %q is for brokers", c.Role, c.Purpose)
	case c.To != "" && c.To != self.Node:
		return codec.Errorf(codec.WrongNode, "node %q is here, and %q was dialled: correct the address of that one", self.Node, c.To)
	case c.Purpose == codec.PurposeService:
		return c.attaches(self)
	case c.Node == self.Node && c.Life != life && c.sameCluster(self):
		return codec.Errorf(codec.Clone, "this is node %q as well, with disk %s: give one of the two a name and a data directory of its own", self.Node, self.Disk)
	}
	return c.stranger(self)
}

// sameCluster says that the two are of one cluster, or may come to be.
func (c claim) sameCluster(self Self) bool {
	none := codec.UUID{}
	return c.Cluster == self.Cluster || c.Cluster == none || self.Cluster == none
}

// attaches is what there is between a service and this broker's cluster. One that does
// not say which cluster it means takes this one.
func (c claim) attaches(self Self) *codec.Error {
	none := codec.UUID{}
	switch {
	case self.Cluster == none:
		return codec.Errorf(codec.NoCluster, "node %q belongs to no cluster yet", self.Node)
	case c.Cluster != none && c.Cluster != self.Cluster:
		return codec.Errorf(codec.OtherCluster, "node %q is of cluster %s, and service %q was attached to %s: correct the addresses of its brokers", self.Node, self.Cluster, c.Node, c.Cluster)
	}
	return nil
}

// unproven is what its certificate says against it.
func (c claim) unproven() *codec.Error {
	switch {
	case !c.secure:
		return nil
	case c.bad != nil:
		return codec.Errorf(codec.AuthFailed, "%v: make one with troupe certs node", c.bad)
	case c.shown == nil && c.Role == codec.RoleService:
		return codec.Errorf(codec.AuthRequired, "no certificate was shown: make one of this cluster's authority with troupe certs client --service, and attach with it")
	case c.shown == nil:
		return codec.Errorf(codec.AuthRequired, "no certificate was shown: make one of this cluster's authority with troupe certs node, and start the broker with it")
	case c.shown.Role != c.Role:
		return codec.Errorf(codec.Denied, "the certificate names %s, which may not speak as a %s", c.shown, c.Role)
	case c.shown.Name != string(c.Node):
		return codec.Errorf(codec.AuthFailed, "the certificate names %s, and the greeting node %q: start it with a certificate of its own", c.shown, c.Node)
	}
	return nil
}

// stranger is what there is between the two clusters. Questions may be asked
// by who has none, and of who has none.
func (c claim) stranger(self Self) *codec.Error {
	none := codec.UUID{}
	switch {
	case !c.sameCluster(self):
		return codec.Errorf(codec.OtherCluster, "node %q is of cluster %s, and %q of %s: a broker joins with an empty data directory", self.Node, self.Cluster, c.Node, c.Cluster)
	case c.Purpose == codec.PurposeQuestions:
		return nil
	case self.Cluster == none:
		return codec.Errorf(codec.NoCluster, "node %q belongs to no cluster yet", self.Node)
	case c.Cluster == none:
		return codec.Errorf(codec.NoCluster, "node %q belongs to no cluster yet: it has to join first", c.Node)
	case c.Node == self.Node:
		return codec.Errorf(codec.WrongNode, "node %q has dialled itself", self.Node)
	}
	return nil
}

// who is how a claim is named in logs and status: with TLS by what is proven,
// else as it says.
func (c claim) who(host string) string {
	switch {
	case c.shown != nil:
		return fmt.Sprintf("%s (%s)", host, c.shown.Name)
	case c.secure || c.Greeting == nil:
		return host
	}
	return fmt.Sprintf("%s (%.64s)", host, c.Node)
}
