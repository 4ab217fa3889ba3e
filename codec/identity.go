package codec

import (
	"fmt"
	"strings"
)

// Role is what a process may be to a cluster. It stands in its certificate.
type Role string

// The roles.
const (
	RoleBroker  Role = "broker"  // keeps replicas, votes
	RoleService Role = "service" // attaches actors of its own to brokers
	RoleClient  Role = "client"  // comes to the door for clients
)

// Identity is who a certificate speaks for.
type Identity struct {
	Role Role
	Name string // 1 to 255 of a-z A-Z 0-9 . _ -
}

// identityScheme begins the URI that names an identity.
const identityScheme = "troupe://"

// identityNameMax is the longest name, in bytes, as of nodes.
const identityNameMax = 255

// String is the URI that stands among a certificate's alternative names:
// troupe://broker/n1 for instance.
func (i Identity) String() string { return identityScheme + string(i.Role) + "/" + i.Name }

// Check says what is wrong with an identity.
func (i Identity) Check() error {
	if i.Role != RoleBroker && i.Role != RoleService && i.Role != RoleClient {
		return fmt.Errorf("role %q: want broker, service or client", clip(string(i.Role)))
	}
	if len(i.Name) == 0 || len(i.Name) > identityNameMax || i.Name == "." || i.Name == ".." {
		return fmt.Errorf("name %q: want 1 to %d of a-z A-Z 0-9 . _ -, and not . or ..", clip(i.Name), identityNameMax)
	}
	for _, b := range []byte(i.Name) {
		if !topicByte(b) {
			return fmt.Errorf("name %q has %q: only a-z A-Z 0-9 . _ - are allowed", clip(i.Name), b)
		}
	}
	return nil
}

// ParseIdentity reads the one identity among the URIs of a certificate (RFC
// 5280, 4.2.1.6). What is not of our scheme is others' business; two of ours,
// or one that is not written exactly as Identity.String does, are refused: who
// somebody is must not depend on who reads it.
func ParseIdentity(uris []string) (Identity, error) {
	var found []string
	for _, u := range uris {
		if len(u) >= len(identityScheme) && strings.EqualFold(u[:len(identityScheme)], identityScheme) {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return Identity{}, fmt.Errorf("the certificate has %d names of the form troupe://ROLE/NAME: want one", len(found))
	}
	role, name, _ := strings.Cut(found[0][len(identityScheme):], "/")
	i := Identity{Role(role), name}
	if err := i.Check(); err != nil {
		return Identity{}, fmt.Errorf("the certificate's name %q: %w", clip(found[0]), err)
	}
	if i.String() != found[0] {
		return Identity{}, fmt.Errorf("the certificate's name %q: want it written %s", clip(found[0]), i)
	}
	return i, nil
}
