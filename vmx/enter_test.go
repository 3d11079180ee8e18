// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// source returns a file of the runtime that this test was built with.
func source(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(build.Default.GOROOT, "src", "runtime", name))
	if err != nil {
		t.Skipf("the runtime's source is not here: %v", err)
	}
	return string(text)
}

// The entry code reads g.stackguard0 and compares it with stackPreempt. Neither
// is an interface of the runtime: both must be checked for each toolchain.
func TestRuntimeAgrees(t *testing.T) {
	entry, err := os.ReadFile("enter_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#define g_stackguard0 16\n", "#define stackPreempt -1314\n"} {
		if !regexp.MustCompile(regexp.QuoteMeta(want)).Match(entry) {
			t.Errorf("enter_amd64.s has no %q", want)
		}
	}
	// type g starts with a stack, two words, then stackguard0: offset 16.
	g := regexp.MustCompile(`(?s)\ntype g struct \{\n(?:\t//[^\n]*\n)*\tstack +stack[^\n]*\n\tstackguard0 uintptr`)
	if !g.MatchString(source(t, "runtime2.go")) {
		t.Error("g.stackguard0 is no longer behind g.stack")
	}
	stack := regexp.MustCompile(`\ntype stack struct \{\n\tlo uintptr\n\thi uintptr\n\}`)
	if !stack.MatchString(source(t, "runtime2.go")) {
		t.Error("runtime.stack is no longer two words")
	}
	preempt := regexp.MustCompile(`stackPreempt = uintptrMask & -1314\n`)
	if !preempt.MatchString(source(t, "stack.go")) {
		t.Error("runtime.stackPreempt has another value")
	}
}
