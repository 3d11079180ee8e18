// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command profile shows where the instructions of one exit go: a guest repeats the
// exit, an emulator writes down every instruction that the machine executes, and
// each is given to the function that it belongs to. It takes its settings from the
// environment, as make passes them:
//
//	FIGURE   the exit, a name of the micro guest's mode "bench"; default cpuid. Or
//	         disk_read: dom0 reads 4 KiB of an NVMe disk, and waits for it; guest_read:
//	         a Linux guest does so by virtio-blk; interrupt:
//	         from a network card's message to its driver's goroutine, in a machine that
//	         sleeps; ping: dom0 sends an echo request, and waits for the answer
//	BACKEND  svm (default), in QEMU; vmx, in Bochs
//	BY       func (default), or line: lines of source instead of functions
//
// The result is a flat profile per exit. It counts what make bench counts, and the
// few instructions of the guest's loop.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"ringo/tools/debian"
	"ringo/tools/emu"
	"ringo/tools/image"
)

const (
	prompt   = "ringo# "
	deadline = 10 * time.Minute
)

func main() {
	if err := profile(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

// settings is what the user wants to see.
type settings struct {
	figure string
	bochs  bool
	byLine bool
}

var figureName = regexp.MustCompile(`^[a-z0-9_]+$`)

// read checks the environment.
func read(getenv func(string) string) (s settings, err error) {
	s.figure = "cpuid"
	if f := getenv("FIGURE"); f != "" {
		s.figure = f
	}
	if !figureName.MatchString(s.figure) {
		return s, fmt.Errorf("FIGURE=%s: want a name that make bench prints, like cpuid", s.figure)
	}
	switch b := getenv("BACKEND"); b {
	case "", "svm":
	case "vmx":
		s.bochs = true
	default:
		return s, fmt.Errorf("BACKEND=%s: want svm or vmx", b)
	}
	switch b := getenv("BY"); b {
	case "", "func":
	case "line":
		s.byLine = true
	default:
		return s, fmt.Errorf("BY=%s: want func or line", b)
	}
	if s.bochs && slices.Contains([]string{diskRead, guestRead, interrupt, ping}, s.figure) {
		return s, fmt.Errorf("FIGURE=%s: Bochs has no such device", s.figure)
	}
	return s, nil
}

func profile(getenv func(string) string) error {
	s, err := read(getenv)
	if err != nil {
		return err
	}
	task := "run"
	if s.bochs {
		task = "bochs"
	}
	if err := debian.Ensure(os.Stderr, task); err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build")
	img, err := image.Build(root, out)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(out, "profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	micro := exec.Command("go", "run", "./tests/guests/micro", "-o", dir)
	micro.Dir, micro.Stderr = root, os.Stderr
	if err := micro.Run(); err != nil {
		return fmt.Errorf("the micro guest: %w", err)
	}
	syms, err := loadSymbols(filepath.Join(out, "hv.elf"), img.Dom0)
	if err != nil {
		return err
	}
	c := emu.Config{HV: img.HV, MemMiB: 512, Dir: dir, Modules: []emu.Module{
		{Name: "dom0", Path: img.Dom0}, {Name: "micro.elf", Path: filepath.Join(dir, "micro.elf")}}}
	if s.figure == guestRead {
		if err := addGuest(&c, out); err != nil {
			return err
		}
	}
	c.ICount = !s.bochs
	collect := s.inQEMU
	if s.bochs {
		collect = s.inBochs
	}
	p, err := collect(c, syms)
	if err != nil {
		return err
	}
	return p.write(os.Stdout, s)
}

// What the console says: where the guest's loop is, or that there is none.
var (
	loop    = regexp.MustCompile(`loop [a-z0-9_]+ at (\d+)\s|` + failure.String())
	failure = regexp.MustCompile(`loop: no such figure|error: [^\n]*|micro: exception [^\n]*`)
)

// create starts the guest.
func (s settings) create(m *emu.Machine) error {
	if _, _, err := m.Expect(deadline, prompt); err != nil {
		return err
	}
	return m.Send("create name=micro vcpus=2 kernel=boot:micro.elf hypervisor=ringo memory=64MiB cmdline=\"mode=loop figure=" + s.figure + "\"\rconsole micro\r")
}

// begin starts the guest and returns the address of its loop.
func (s settings) begin(m *emu.Machine, syms symbols) (uint64, error) {
	switch s.figure {
	case diskRead:
		return beginReads(m, syms)
	case guestRead:
		return beginGuestReads(m, syms)
	case ping:
		return beginPings(m, syms)
	case interrupt:
		return beginInterrupts(m, syms)
	}
	if err := s.create(m); err != nil {
		return 0, err
	}
	g, err := m.ExpectRE(deadline, loop)
	if err != nil {
		return 0, err
	}
	if g[1] == "" {
		return 0, errors.New(g[0])
	}
	return strconv.ParseUint(g[1], 10, 64)
}
