package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"strings"
)

// quarantineName is a file beside the log of a replica that was found damaged:
// what was found. While it is there, Open says the same again.
const quarantineName = "quarantined"

// Quarantine writes down that the log in dir is damaged, and how: an opening
// does not read every batch, and would take it for whole again. What was written
// before stays. Who has put the damage right, or knows better, removes the file.
func Quarantine(fs FS, dir string, found error) error {
	if before, err := quarantined(fs, dir); err != nil || before != "" {
		return err
	}
	var damage *Corrupt
	if errors.As(found, &damage) {
		found = damage
	}
	// It may be read in another place.
	why := strings.ReplaceAll(strings.ReplaceAll(found.Error(), dir+string(filepath.Separator), ""), dir, "log")
	return WriteFile(fs, filepath.Join(dir, quarantineName), []byte(why+"\n"))
}

// quarantined is what Quarantine wrote; empty when nothing is said.
func quarantined(fs FS, dir string) (why string, err error) {
	p, err := readFile(fs, filepath.Join(dir, quarantineName))
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read quarantine: %w", err)
	case len(p) < 2: // of WriteFile only rot leaves that
		return "nobody knows why", nil
	}
	return string(p[:len(p)-1]), nil
}
