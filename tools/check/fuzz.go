// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// fuzzTime and fuzzLong are how long each fuzz target runs, in the suite and in
// the long one.
const (
	fuzzTime = 30 * time.Second
	fuzzLong = 5 * time.Minute
)

// target is a fuzz target: its package's folder and its function.
type target struct{ folder, name string }

// targets are all fuzz targets of the tree, adversaries among them: those that
// search for the worst that somebody can do to others, and assert a bound. A test
// sees to it that none is missing.
var targets = []target{
	{"boot/acpi", "FuzzFindRSDP"},
	{"boot/acpi", "FuzzParse"},
	{"boot/cmdline", "FuzzParse"},
	{"boot/kernel", "FuzzScan2"},
	{"boot/mb", "FuzzParse"},
	{"dom0/config", "FuzzParse"},
	{"dom0/devmodel/rtc", "FuzzAccess"},
	{"dom0/devmodel/serial", "FuzzAccess"},
	{"dom0/loader", "FuzzLoad"},
	{"hv/decode", "FuzzDecode"},
	{"hv/internal/image", "FuzzParse"},
	{"hv/internal/sched", "FuzzAdversary"},
	{"hv/internal/vlapic", "FuzzHostileGuest"},
	{"mm", "FuzzNormalize"},
	{"mm", "FuzzSet"},
	{"mm/gwalk", "FuzzModel"},
	{"mm/pt", "FuzzEdits"},
	{"svm", "FuzzDecode"},
	{"svm", "FuzzInject"},
	{"tools/mkimage", "FuzzLoad"},
	{"vmx", "FuzzDecode"},
}

// fuzz runs every target for its time, one after the other, in a copy of the tree: what
// a target finds is printed, and the tree stays as it is.
func (t *tally) fuzz(root string, long bool) error {
	if long {
		return t.fuzzFor(root, fuzzLong)
	}
	return t.fuzzFor(root, fuzzTime)
}

// fuzzFor is fuzz with d for each target.
func (t *tally) fuzzFor(root string, d time.Duration) error {
	tmp, err := os.MkdirTemp("", "ringo-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	src := filepath.Join(tmp, "src")
	if err := copySources(src, root); err != nil {
		return err
	}
	for _, f := range targets {
		if err := t.fuzzOne(src, f, d); err != nil {
			return err
		}
	}
	return nil
}

// fuzzOne runs one target of the tree at src. If it fails, the inputs that it has
// written are printed, as files of testdata that make the failure a test.
func (t *tally) fuzzOne(src string, f target, d time.Duration) error {
	folder := filepath.Join(src, filepath.FromSlash(f.folder))
	before := inputs(folder, f.name)
	fmt.Printf("fuzz %s %s for %v\n", f.folder, f.name, d)
	var one tally
	var out bytes.Buffer
	// Without its path in the objects, the copy's are found in the cache.
	err := one.run(&out, src, []string{"./" + f.folder, "-trimpath", "-run=^$", "-fuzz=^" + f.name + "$", "-fuzztime=" + d.String(), "-fuzzminimizetime=5s", "-timeout=0"})
	if err != nil {
		return err
	}
	found := inputs(folder, f.name)
	for name := range before {
		delete(found, name)
	}
	if len(found) == 0 && timeIsUp.Match(out.Bytes()) {
		one = tally{passed: 1}
	}
	if len(one.failed) > 0 {
		os.Stdout.Write(out.Bytes())
	}
	for name, text := range found {
		fmt.Printf("The input, for %s/testdata/fuzz/%s/%s:\n%s\n", f.folder, f.name, name, text)
	}
	t.passed += one.passed
	t.failed = append(t.failed, one.failed...)
	return nil
}

// timeIsUp matches a failure that is none. The coordinator of Go's package
// internal/fuzz takes the end of -fuzztime for an error when it sees the outer
// context end before the inner one.
var timeIsUp = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n +context deadline exceeded\n(=== NAME *\n)?FAIL$`)

// inputs are the inputs of a target that are kept in its package, by file name.
func inputs(folder, name string) map[string]string {
	all := map[string]string{}
	dir := filepath.Join(folder, "testdata", "fuzz", name)
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return all
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			b = []byte(err.Error())
		}
		all[e.Name()] = strings.TrimSpace(string(b))
	}
	return all
}
