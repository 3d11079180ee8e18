// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// fuzzTime and fuzzLong are how long each fuzz target runs, in the suite and in
// the long one.
const (
	fuzzTime = 10 * time.Second
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
	{"boot/mb", "FuzzParse"},
	{"dom0/cli", "FuzzLine"},
	{"dom0/config", "FuzzParse"},
	{"dom0/console", "FuzzKeys"},
	{"dom0/console/vt", "FuzzFilter"},
	{"dom0/devmodel/hotplug", "FuzzAccess"},
	{"dom0/devmodel/pcihost", "FuzzAccess"},
	{"dom0/devmodel/rtc", "FuzzAccess"},
	{"dom0/devmodel/serial", "FuzzAccess"},
	{"dom0/devmodel/vnet", "FuzzQueues"},
	{"dom0/devmodel/vpci", "FuzzRegisters"},
	{"dom0/files", "FuzzOpen"},
	{"dom0/files/part", "FuzzRead"},
	{"dom0/loader", "FuzzLoad"},
	{"dom0/network", "FuzzFrames"},
	{"dom0/network/bridge", "FuzzFilter"},
	{"dom0/network/dhcp", "FuzzParse"},
	{"dom0/network/nat", "FuzzHostile"},
	{"dom0/storage/format", "FuzzOpen"},
	{"drivers/ahci", "FuzzHostile"},
	{"drivers/e1000", "FuzzHostile"},
	{"drivers/ide", "FuzzHostile"},
	{"drivers/nvme", "FuzzHostile"},
	{"drivers/pci", "FuzzCapabilities"},
	{"drivers/virtio/disk", "FuzzHostile"},
	{"drivers/virtio/ring", "FuzzDevice"},
	{"drivers/virtio/ring", "FuzzDriver"},
	{"hv/decode", "FuzzDecode"},
	{"hv/internal/image", "FuzzParse"},
	{"hv/internal/run", "FuzzEmulate"},
	{"hv/internal/run", "FuzzEmulateRace"},
	{"hv/internal/sched", "FuzzAdversary"},
	{"hv/internal/vhpet", "FuzzClock"},
	{"hv/internal/vlapic", "FuzzClock"},
	{"hv/internal/vlapic", "FuzzHostileGuest"},
	{"hv/internal/vpit", "FuzzClock"},
	{"hv/internal/vpm", "FuzzClock"},
	{"mm", "FuzzNormalize"},
	{"mm", "FuzzSet"},
	{"mm/gwalk", "FuzzModel"},
	{"mm/pt", "FuzzEdits"},
	{"svm", "FuzzDecode"},
	{"svm", "FuzzInject"},
	{"tools/mkimage", "FuzzLoad"},
	{"vmx", "FuzzDecode"},
	{"vmx", "FuzzEvents"},
}

// fuzz runs every target for its time in a copy of the tree: what a target finds is
// printed, and the tree stays as it is.
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
	// A target per CPU at a time, with one worker each.
	queue := make(chan target)
	ended := make(chan fuzzed)
	for range runtime.NumCPU() {
		go func() {
			for f := range queue {
				ended <- fuzzOne(src, f, d)
			}
		}()
	}
	go func() {
		for _, f := range targets {
			queue <- f
		}
		close(queue)
	}()
	for range targets {
		r := <-ended
		fmt.Print(r.text)
		t.passed += r.passed
		t.failed = append(t.failed, r.failed...)
		if r.err != nil && err == nil {
			err = r.err
		}
	}
	return err
}

// fuzzed is what has come of a target: a tally, and what to print.
type fuzzed struct {
	tally
	text string
	err  error // it could not be run
}

// fuzzOne runs one target of the tree at src for d. If it fails, the inputs that it
// has written are in the text, as files of testdata that make the failure a test.
func fuzzOne(src string, f target, d time.Duration) (r fuzzed) {
	folder := filepath.Join(src, filepath.FromSlash(f.folder))
	before := inputs(folder, f.name)
	var out bytes.Buffer
	// Without its path in the objects, the copy's are found in the cache.
	r.err = r.run(&out, src, []string{"./" + f.folder, "-trimpath", "-run=^$", "-fuzz=^" + f.name + "$",
		"-fuzztime=" + d.String(), "-fuzzminimizetime=5s", "-parallel=1", "-timeout=0"})
	found := inputs(folder, f.name)
	for name := range before {
		delete(found, name)
	}
	r.text = fmt.Sprintf("fuzz %s %s for %v\n", f.folder, f.name, d)
	switch {
	case len(found) == 0 && timeIsUp.Match(out.Bytes()):
		r.tally = tally{passed: 1}
	case len(r.failed) > 0 && hung.Match(out.Bytes()) && replay(src, f, found):
		r.tally = tally{passed: 1}
		r.text += "  ended early: an input did not come to its end in ten seconds, and does by itself\n"
		found = nil
	}
	if len(r.failed) > 0 {
		r.text += out.String()
	}
	for name, text := range found {
		r.text += fmt.Sprintf("The input, for %s/testdata/fuzz/%s/%s:\n%s\n", f.folder, f.name, name, text)
	}
	return r
}

// timeIsUp matches a failure that is none. The coordinator of Go's package
// internal/fuzz takes the end of -fuzztime for an error when it sees the outer
// context end before the inner one.
var timeIsUp = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n +context deadline exceeded\n(=== NAME *\n)?FAIL$`)

// hung matches what Go's package internal/fuzz says of an input that took more than
// ten seconds, by the clock on the wall, which on a busy machine means little; or
// that ended the process.
var hung = regexp.MustCompile(`(?m)^ +fuzzing process hung or terminated unexpectedly: exit status 2$`)

// replay reports whether the inputs that a target has written pass by themselves,
// several times, with time enough: what hangs or panics does not.
func replay(src string, f target, found map[string]string) bool {
	for name := range found {
		cmd := exec.Command("go", "test", "./"+f.folder, "-trimpath", "-count=3", "-timeout=5m",
			"-run=^"+f.name+"$/^"+regexp.QuoteMeta(name)+"$")
		cmd.Dir = src
		if cmd.Run() != nil {
			return false
		}
	}
	return len(found) > 0
}

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
