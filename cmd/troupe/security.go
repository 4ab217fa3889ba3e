package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
)

// security is what clients have to show at the door: with certificates they speak
// TLS and show one, or a token of the file; with --insecure nothing.
func (c *serveConfig) security(node codec.NodeID, creds *trust.Credentials, log func(string, ...any)) (s gateway.Security, err error) {
	if c.Insecure {
		return s, nil
	}
	if creds == nil {
		if creds, err = c.credentials(node, log); err != nil {
			return s, err
		}
	}
	if creds != nil {
		s.TLS, s.Shown = creds.Server(gateway.ALPN), trust.Shown
	}
	if c.Tokens != "" {
		t, err := readTokens(c.Tokens, log)
		if err != nil {
			return s, err
		}
		s.Token = t.who
	}
	return s, nil
}

// tokens are those of a file: a line each, the name of a client and its token. The
// file is looked at again when it has changed, at most once a second.
type tokens struct {
	file string
	log  func(string, ...any)

	mu     sync.Mutex
	known  map[[sha256.Size]byte]codec.Identity // by hash, so that a look-up says nothing of what is near
	stamp  os.FileInfo
	looked time.Time
}

// tokenMin is the shortest token that is not taken for a mistake.
const tokenMin = 16

// tokensEvery is the least time between two looks at the file.
const tokensEvery = time.Second

func readTokens(file string, log func(string, ...any)) (*tokens, error) {
	t := &tokens{file: file, log: log, looked: time.Now()}
	return t, t.read()
}

func (t *tokens) read() error {
	info, err := os.Stat(t.file)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	p, err := os.ReadFile(t.file)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	known, err := parseTokens(string(p))
	if err != nil {
		return fmt.Errorf("tokens: %s: %w", t.file, err)
	}
	t.known, t.stamp = known, info
	return nil
}

// parseTokens reads the lines of a file. What is wrong with a line is said without
// the token.
func parseTokens(text string) (map[[sha256.Size]byte]codec.Identity, error) {
	known := map[[sha256.Size]byte]codec.Identity{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("line %d: want the name of a client and its token", number)
		}
		who := codec.Identity{Role: codec.RoleClient, Name: words[0]}
		if err := who.Check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if n := len(words[1]); n < tokenMin || n > codec.TokenMax {
			return nil, fmt.Errorf("line %d: the token of %s has %d bytes: want %d to %d", number, who.Name, n, tokenMin, codec.TokenMax)
		}
		hash := sha256.Sum256([]byte(words[1]))
		if other, twice := known[hash]; twice {
			return nil, fmt.Errorf("line %d: %s has the same token as %s", number, who.Name, other.Name)
		}
		known[hash] = who
	}
	return known, nil
}

// who is gateway.Security's.
func (t *tokens) who(token string) (codec.Identity, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.looked) >= tokensEvery {
		t.looked = time.Now()
		if info, err := os.Stat(t.file); err != nil || info.ModTime() != t.stamp.ModTime() || info.Size() != t.stamp.Size() {
			if err := t.read(); err != nil {
				t.log("tokens were changed and cannot be used, those before stay", "error", err)
			}
		}
	}
	who, ok := t.known[sha256.Sum256([]byte(token))]
	return who, ok
}
