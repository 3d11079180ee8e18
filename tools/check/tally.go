// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tally counts the tests of several runs of go test.
type tally struct {
	passed, skipped int
	failed          []string // "package Test"; "package" alone if it did not build
	leftOut         []string // what tests say that they leave out, each once
	verdicts        verdicts
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Key     string // of an attribute
	Value   string
}

// test runs go test with args, which start with packages. With -v all output
// is shown as it comes, else that of packages that failed.
func (t *tally) test(args []string) error { return t.run(os.Stdout, "", args) }

// run is test with its output to w; in another folder than this one, if dir is
// not empty.
func (t *tally) run(w io.Writer, dir string, args []string) error {
	verbose := slices.Contains(args, "-v")
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := len(t.failed)
	if err := t.read(out, w, verbose); err != nil {
		return err
	}
	var exit *exec.ExitError
	err = cmd.Wait()
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if err != nil && len(t.failed) == before {
		// It failed before there was a test to blame.
		t.failed = append(t.failed, fmt.Sprintf("go test: %v\n%s", err, stderr.Bytes()))
	}
	return nil
}

// read counts the events in r.
func (t *tally) read(r io.Reader, w io.Writer, verbose bool) error {
	dec := json.NewDecoder(r)
	kept := map[string][]byte{} // output by package
	blamed := map[string]bool{}
	for {
		var e event
		if err := dec.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("output of go test: %w", err)
		}
		t.note(e.Output)
		switch {
		case e.Action == "attr" && e.Key == verdictKey:
			if err := t.verdicts.add(e.Value); err != nil {
				return err
			}
		case e.Action == "attr", e.Action == "output" && strings.HasPrefix(e.Output, "=== ATTR "):
		case e.Action == "output" && verbose:
			io.WriteString(w, e.Output)
		case e.Action == "output" || e.Action == "build-output":
			kept[e.Package] = append(kept[e.Package], e.Output...)
		case e.Test != "":
			t.count(e)
			blamed[e.Package] = blamed[e.Package] || e.Action == "fail"
		case e.Action == "fail":
			w.Write(kept[e.Package])
			if !blamed[e.Package] {
				t.failed = append(t.failed, e.Package)
			}
		}
		if e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") {
			delete(kept, e.Package)
		}
	}
}

// note keeps what the output of a test says that it leaves out.
func (t *tally) note(output string) {
	if _, what, ok := strings.Cut(output, ": left out, "); ok && !slices.Contains(t.leftOut, strings.TrimSpace(what)) {
		t.leftOut = append(t.leftOut, strings.TrimSpace(what))
	}
}

func (t *tally) count(e event) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
	case "fail":
		t.failed = append(t.failed, e.Package+" "+e.Test)
	}
}

// report prints the table of the backends and the closing lines; failed tests
// are an error.
func (t *tally) report(w io.Writer) error {
	t.verdicts.print(w)
	for _, f := range t.failed {
		fmt.Fprintln(w, "FAIL", f)
	}
	for _, what := range t.leftOut {
		fmt.Fprintln(w, "left out:", what)
	}
	fmt.Fprintf(w, "%d passed, %d failed", t.passed, len(t.failed))
	if t.skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", t.skipped)
	}
	fmt.Fprintln(w)
	if len(t.failed) > 0 {
		return fmt.Errorf("%d tests failed", len(t.failed))
	}
	return nil
}
