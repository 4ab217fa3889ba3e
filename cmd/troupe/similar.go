package main

import (
	"cmp"
	"slices"
	"strings"
)

// similar are the names that somebody may have meant who wrote another, the
// nearest first, three at most.
func similar(wrote string, names []string) []string {
	type near struct {
		name string
		far  int
	}
	var all []near
	for _, name := range names {
		a, b := strings.ToLower(wrote), strings.ToLower(name)
		far := distance(a, b)
		switch {
		case far <= max(1, len(b)/4):
		case len(a) >= 3 && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b)):
		default:
			continue
		}
		all = append(all, near{name, far})
	}
	slices.SortFunc(all, func(a, b near) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name)) })
	var out []string
	for _, n := range all[:min(3, len(all))] {
		out = append(out, n.name)
	}
	return out
}

// distance is how many letters must be put in, taken out, replaced or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// orList is "a", "a or b", "a, b or c".
func orList(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}
