// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source returns a file of the runtime that this test was built with.
func source(t *testing.T, name string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output() // -trimpath leaves none in the program
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "runtime", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// RuntimeAgrees checks what the entry code in the assembly file entry reads of
// the Go runtime: g.stackguard0, and its value stackPreempt. Neither is an
// interface of the runtime, so each toolchain must be checked.
func RuntimeAgrees(t *testing.T, entry string) {
	t.Helper()
	text, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#define g_stackguard0 16\n", "#define stackPreempt -1314\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q", entry, want)
		}
	}
	for _, want := range []struct{ file, text, otherwise string }{
		// type g starts with a stack, two words, then stackguard0: offset 16.
		{"runtime2.go", `(?s)\ntype g struct \{\n(?:\t//[^\n]*\n)*\tstack +stack[^\n]*\n\tstackguard0 uintptr`, "g.stackguard0 is no longer behind g.stack"},
		{"runtime2.go", `\ntype stack struct \{\n\tlo uintptr\n\thi uintptr\n\}`, "runtime.stack is no longer two words"},
		{"stack.go", `stackPreempt = uintptrMask & -1314\n`, "runtime.stackPreempt has another value"},
	} {
		if !regexp.MustCompile(want.text).MatchString(source(t, want.file)) {
			t.Error(want.otherwise)
		}
	}
}
