package config

import "strings"

// nearest returns the candidate with the smallest edit distance to word, and whether it is near
// enough to have been meant: at most a third of the letters differ, or one of two, whatever their
// case. Of equals it is the first.
func nearest(word string, candidates []string) (string, bool) {
	best, found := "", false
	limit := len(word) / 3
	if limit == 0 && len(word) > 1 {
		limit = 1
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c), limit); d <= limit {
			best, found, limit = c, true, d-1
		}
	}
	return best, found
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to get from a
// to b (optimal string alignment); anything above limit is returned as limit+1.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return limit + 1
	}
	before, above := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above = above, row
	}
	return min(above[len(b)], limit+1)
}
