package member

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/hashicorp/memberlist"
)

// Keyring is the keys of the gossip: what is sent is encrypted with the first,
// what comes may be with any.
type Keyring struct{ keys [][]byte }

// keyBytes is the length of a key: AES-256.
const keyBytes = 32

// NewKey is a key as a file has it.
func NewKey() string {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // it never fails
	return base64.StdEncoding.EncodeToString(key)
}

// ReadKeyring reads a file of keys, one a line. Lines that begin with # are for people.
func ReadKeyring(name string) (*Keyring, error) {
	p, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("keys of the gossip: %w", err)
	}
	k, err := parseKeyring(p)
	if err != nil {
		return nil, fmt.Errorf("keys of the gossip: %s: %w", name, err)
	}
	return k, nil
}

func parseKeyring(p []byte) (*Keyring, error) {
	k := &Keyring{}
	for i, line := range bytes.Split(p, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(key) != keyBytes { // and the line is told to nobody
			return nil, fmt.Errorf("line %d: want %d bytes in base64, as troupe keygen writes them", i+1, keyBytes)
		}
		k.keys = append(k.keys, key)
	}
	if len(k.keys) == 0 {
		return nil, fmt.Errorf("no key: make one with troupe keygen")
	}
	return k, nil
}

// Prints are what tells keys apart without telling them: a tag of each, in their order.
// None of a nil Keyring, which encrypts nothing.
func (k *Keyring) Prints() []string {
	all := []string{}
	if k == nil {
		return all
	}
	for _, key := range k.keys {
		tag := hmac.New(sha256.New, key)
		tag.Write([]byte("troupe: which key of the gossip this is"))
		all = append(all, hex.EncodeToString(tag.Sum(nil)[:8]))
	}
	return all
}

func (k *Keyring) memberlist() (*memberlist.Keyring, error) {
	if k == nil {
		return nil, nil
	}
	return memberlist.NewKeyring(k.keys, k.keys[0])
}
