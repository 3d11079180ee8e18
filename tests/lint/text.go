// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// maxLines is the length of a file beyond which it does two things.
const maxLines = 500

var spdx = []string{"SPDX-FileCopyrightText: The Ringo Authors", "SPDX-License-Identifier: BSD-3-Clause"}

// header wants the two licence lines at the top of all code, after a #! line.
func header(f *File) []string {
	mark := "// "
	switch path.Ext(f.Name) {
	case ".md", ".toml":
		return nil
	case ".go", ".s", ".S", ".h":
	default:
		mark = "# "
	}
	text := f.Text
	if strings.HasPrefix(text, "#!") {
		_, text, _ = strings.Cut(text, "\n")
	}
	if strings.HasPrefix(text, mark+spdx[0]+"\n"+mark+spdx[1]+"\n") {
		return nil
	}
	return []string{f.Name + ":1: does not start with the SPDX lines"}
}

// length bounds files of code. Tables and generated files may be longer.
func length(f *File) []string {
	n := strings.Count(f.Text, "\n")
	if n <= maxLines || path.Ext(f.Name) == ".md" || f.generated() || isTable(f.Name) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines, at most %d", f.Name, n, maxLines)}
}

// isTable reports files that hold nothing but a table, by their name.
func isTable(name string) bool {
	base := strings.TrimSuffix(path.Base(name), ".go")
	return strings.HasSuffix(base, "table") || strings.HasSuffix(base, "tables")
}

// The patterns are written so that this file does not match them.
var forbidden = []struct {
	re   *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b`), "unfinished work belongs in an issue or in CAVEATS.md"},
	{regexp.MustCompile(`(^|[\s"'=(])/(hom[e]|roo[t]|wor[k]|User[s])/`), "a path of one machine"},
	{regexp.MustCompile(`\b(192\.16[8]|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+:\d+`), "an address of one network"},
	{regexp.MustCompile(`GOPROX[Y]=|proxy\.golan[g]`), "an address of a registry"},
}

// words refuses what should not be in a tree that others build.
func words(f *File) []string {
	var bad []string
	for i, line := range strings.Split(f.Text, "\n") {
		for _, w := range forbidden {
			if m := w.re.FindString(line); m != "" {
				bad = append(bad, fmt.Sprintf("%s:%d: %q: %s", f.Name, i+1, strings.TrimSpace(m), w.what))
			}
		}
	}
	return bad
}
