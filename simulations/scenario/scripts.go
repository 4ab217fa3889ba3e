package scenario

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed scripts/*.txt
var scripts embed.FS

// All are the scenarios that come with Troupe, in order of their names.
func All() []Scenario {
	files, err := scripts.ReadDir("scripts")
	if err != nil {
		panic(fmt.Sprintf("scenario: the embedded scripts: %v", err))
	}
	var all []Scenario
	for _, f := range files {
		text, err := scripts.ReadFile("scripts/" + f.Name())
		if err != nil {
			panic(fmt.Sprintf("scenario: the embedded scripts: %v", err))
		}
		s, err := Parse(strings.TrimSuffix(f.Name(), ".txt"), string(text))
		if err != nil {
			panic(err.Error()) // a test reads them all
		}
		all = append(all, s)
	}
	return all
}

// Find is the scenario whose name is, or begins with, name.
func Find(name string) (Scenario, error) {
	var found []Scenario
	var names []string
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
		if strings.HasPrefix(s.Name, name) {
			found = append(found, s)
		}
		names = append(names, s.Name)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return Scenario{}, fmt.Errorf("no scenario %q: there are %s", name, strings.Join(names, ", "))
}
