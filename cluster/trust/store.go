package trust

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// Names of an authority's files in their directory. The certificate goes to
// every machine, the key to none.
const (
	AuthorityCert = "ca.crt"
	AuthorityKey  = "ca.key"
)

// FilesOf are the names of an identity's certificate and key in dir.
func FilesOf(dir string, i codec.Identity) (cert, key string) {
	base := filepath.Join(dir, string(i.Role)+"-"+i.Name)
	return base + ".crt", base + ".key"
}

// Write keeps a pair in two files, the key readable by its owner only. Files
// that are there are replaced only by force, and then each as a whole.
func Write(p Pair, cert, key string, force bool) error {
	if !force {
		for _, name := range []string{key, cert} {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("%s is there: --force replaces it", name)
			} else if !errors.Is(err, iofs.ErrNotExist) {
				return fmt.Errorf("look for %s: %w", name, err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(key), 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	if err := put(key, p.Key, 0o600, force); err != nil {
		return err
	}
	return put(cert, p.Cert, 0o644, force)
}

// put writes a file as a whole. Without force its name must be free.
func put(name string, p []byte, mode iofs.FileMode, force bool) error {
	if !force {
		return fill(name, p, mode)
	}
	fresh := name + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("remove what another call left: %w", err)
	}
	if err := fill(fresh, p, mode); err != nil {
		return err
	}
	if err := os.Rename(fresh, name); err != nil {
		return errors.Join(fmt.Errorf("replace %s: %w", name, err), os.Remove(fresh))
	}
	return nil
}

// fill makes a file, with all of p or not at all.
func fill(name string, p []byte, mode iofs.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(name))
	}
	return nil
}

// ReadAuthority reads the files of an authority in dir.
func ReadAuthority(dir string) (Pair, error) {
	cert, err := readFile(filepath.Join(dir, AuthorityCert))
	if err != nil {
		return Pair{}, err
	}
	key, err := readFile(filepath.Join(dir, AuthorityKey))
	return Pair{cert, key}, err
}

// fileMax is far above what a certificate needs, in bytes.
const fileMax = 1 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > fileMax {
		return nil, fmt.Errorf("%s: want a file of at most %d bytes", name, fileMax)
	}
	return os.ReadFile(name)
}
