// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise of a good test\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
{"Action":"output","Package":"q","Test":"TestC","Output":"reason\n"}
{"Action":"fail","Package":"q","Test":"TestC"}
{"Action":"fail","Package":"q"}
{"Action":"output","Package":"broken","Output":"does not build\n"}
{"Action":"fail","Package":"broken"}
`

func TestTally(t *testing.T) {
	var sum tally
	var shown, last strings.Builder
	if err := sum.read(strings.NewReader(events), &shown, false); err != nil {
		t.Fatal(err)
	}
	if shown.String() != "reason\ndoes not build\n" {
		t.Errorf("shown %q", shown.String())
	}
	if sum.report(&last) == nil {
		t.Error("failures are no error")
	}
	want := "FAIL q TestC\nFAIL broken\n1 passed, 2 failed, 1 skipped\n"
	if last.String() != want {
		t.Errorf("%q, want %q", last.String(), want)
	}
}

func TestTallyAllGood(t *testing.T) {
	sum := tally{passed: 3}
	var b strings.Builder
	if err := sum.report(&b); err != nil || b.String() != "3 passed, 0 failed\n" {
		t.Error(err, b.String())
	}
	if err := sum.read(strings.NewReader("not json"), &b, false); err == nil {
		t.Error("garbage: no error")
	}
}

func TestCopySources(t *testing.T) {
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	for _, f := range []string{"go.mod", "hv/main.go", "build/hv.img", ".git/config"} {
		os.MkdirAll(filepath.Dir(filepath.Join(src, f)), 0o755)
		os.WriteFile(filepath.Join(src, f), []byte(f), 0o644)
	}
	if err := copySources(dst, src); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[string]bool{"go.mod": true, "hv/main.go": true, "build": false, ".git": false} {
		if _, err := os.Stat(filepath.Join(dst, f)); (err == nil) != want {
			t.Errorf("%s: %v", f, err)
		}
	}
}
