// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)

// The table has every fuzz target of the tree, and nothing else.
func TestTargets(t *testing.T) {
	root := filepath.Join("..", "..")
	var want []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && (e.Name() == "build" || e.Name()[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range fuzzFunc.FindAllSubmatch(text, -1) {
			want = append(want, filepath.ToSlash(folder)+" "+string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range targets {
		got = append(got, f.folder+" "+f.name)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("targets in fuzz.go (-tree +table, in order):\n%s", d)
	}
}

// planted makes a module with fuzz targets that find something, and one that does not.
func planted(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	planted, err := os.ReadFile("testdata/planted.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": "module planted\n\ngo 1.24\n", "p_test.go": string(planted)} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// What a target finds fails the run and is printed; the tree stays as it is.
func TestFuzzFinds(t *testing.T) {
	root := planted(t)
	old, oldOut := targets, os.Stdout
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { targets, os.Stdout = old, oldOut }()
	targets, os.Stdout = []target{{".", "FuzzGood"}, {".", "FuzzPlanted"}}, out
	var sum tally
	if err := sum.fuzzFor(root, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(sum.failed) != 1 || sum.failed[0] != "planted FuzzPlanted" || sum.passed != 1 {
		t.Errorf("failed %q, passed %d", sum.failed, sum.passed)
	}
	for _, want := range []string{"found it", "byte('M')", "./testdata/fuzz/FuzzPlanted/"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not printed:\n%s", want, text)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "testdata")); err == nil {
		t.Error("the tree was written")
	}
}

func TestTimeIsUp(t *testing.T) {
	for text, want := range map[string]bool{
		"fuzz: elapsed: 5s\n--- FAIL: FuzzGood (5.05s)\n    context deadline exceeded\nFAIL\nexit status 1\n":                   true,
		"--- FAIL: FuzzGood (5.05s)\n    context deadline exceeded\n=== NAME  \nFAIL\n":                                         true,
		"--- FAIL: FuzzBad (5.05s)\n    --- FAIL: FuzzBad (0.00s)\n        x_test.go:1: context deadline exceeded\nFAIL\n":      false,
		"--- FAIL: FuzzBad (5.05s)\n    context deadline exceeded\n    fuzzing process hung or terminated unexpectedly\nFAIL\n": false,
	} {
		if timeIsUp.MatchString(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// An input that the fuzzer had no patience for is no failure if it comes to its end
// by itself; one that ends the process, which the fuzzer takes for the same, is.
func TestHung(t *testing.T) {
	root := planted(t)
	const name = "0123456789abcdef"
	for f, want := range map[string]bool{"FuzzGood": true, "FuzzPanics": false} {
		dir := filepath.Join(root, "testdata", "fuzz", f)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("go test fuzz v1\nbyte('M')\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := replay(root, target{".", f}, inputs(root, f)); got != want {
			t.Errorf("%s passes: %v", f, got)
		}
	}
	if replay(root, target{".", "FuzzGood"}, nil) {
		t.Error("no input passes")
	}
	said := "--- FAIL: FuzzX (10.41s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n    Failing input written to testdata/fuzz/FuzzX/0f72\n"
	for text, want := range map[string]bool{
		said: true,
		"--- FAIL: FuzzX (1.00s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:1: wrong\n": false,
	} {
		if hung.MatchString(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
