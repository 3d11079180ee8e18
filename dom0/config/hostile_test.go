// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// many returns lines of a file of MaxFile bytes.
func many(format string) string {
	var b strings.Builder
	for i := 0; b.Len() < MaxFile-100; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// hostile are files as large as they may be.
func hostile() map[string]string {
	const n = MaxFile - 100
	return map[string]string{
		"nested arrays":        "x = " + strings.Repeat("[", n),
		"nested arrays, whole": "x = " + strings.Repeat("[", n/2) + strings.Repeat("]", n/2),
		"nested tables":        "x = " + strings.Repeat("{a=", n/4) + "1" + strings.Repeat("}", n/4),
		"nested disks":         "disk = " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"long key of parts":    strings.Repeat("a.", n/2) + "a = 1",
		"long table of parts":  "[" + strings.Repeat("a.", n/2) + "a]",
		"long key":             strings.Repeat("a", n) + " = 1",
		"long value":           "name = " + strings.Repeat("9", n),
		"unknown keys":         many("k%d=1\n"),
		"unknown keys, a line": "boot = {" + many("k%d=1,") + "z=1}",
		"unknown tables":       many("[t%d]\n"),
		"many disks":           strings.Repeat("[[disk]]\n", n/9),
		"a table twice":        strings.Repeat("[boot]\n", n/7),
		"escapes":              `name = "` + strings.Repeat(`\u00e9`, n/6) + `"`,
		"too long":             strings.Repeat("#", MaxFile+1),
	}
}

// A file cannot make dom0 use more than a fraction of its memory, and the error is
// a line.
func TestHostileFiles(t *testing.T) {
	for name, file := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := Parse("f.toml", []byte(file))
		if err == nil {
			err = c.Validate()
		}
		runtime.ReadMemStats(&after)
		got := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d KiB, %v", name, got>>10, err)
		if got > 20<<20 {
			t.Errorf("%s: %d KiB are allocated", name, got>>10)
		}
		if err == nil || err != nil && (len(err.Error()) > 400 || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
