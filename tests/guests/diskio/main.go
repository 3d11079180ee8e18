// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Diskio is the first process of a Linux guest that moves data to and from its disk and
// does nothing else. It loads the modules of the folder /modules by their names in order,
// and then takes lines from its console, each a kind of work, a disk and how many times:
//
//	read read-128k read-deep write write-flush flush verify nothing
//
// as "read /dev/vda 1000". It goes around the page cache, one request at a time; read-deep
// has 32 under way, by io_uring; verify has four, of random sizes, and checks what it
// reads. When a line is done it prints it again behind "done". Any other process does the
// one piece of work that its arguments name, and fails if that fails.
//
// But for verify, all system calls are made without a word to Go's scheduler, and nothing
// is allocated, so that little beside the kernel's work counts.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 {
		if err := line(strings.Join(os.Args[1:], " ")); err != nil {
			fmt.Println("diskio: error:", err)
			os.Exit(1)
		}
		return
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	if err := serve(); err != nil {
		fmt.Println("diskio: error:", err)
	}
	for { // the kernel does not do without its first process
		_ = unix.Pause()
	}
}

// serve takes lines until there are no more.
func serve() error {
	if os.Getpid() == 1 {
		if err := setUp(); err != nil {
			return err
		}
	}
	fmt.Println("diskio: ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := line(in.Text()); err != nil {
			return err
		}
	}
	return errors.New("no more lines")
}

// line does what a line says.
func line(text string) error {
	var what, disk string
	var n int
	if _, err := fmt.Sscanf(text, "%s %s %d", &what, &disk, &n); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	if err := run(what, disk, n); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	fmt.Println("diskio: done", text)
	return nil
}

// setUp makes device files and loads drivers.
func setUp() error {
	if err := unix.Mount("dev", "/dev", "devtmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	all, err := filepath.Glob("/modules/*") // sorted
	if err != nil {
		return err
	}
	for _, name := range all {
		fd, err := unix.Open(name, unix.O_RDONLY, 0)
		if err == nil {
			err = unix.FinitModule(fd, "", 0)
			unix.Close(fd)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Sizes of requests, and how many of them the deep queue has.
const (
	small = 4 << 10
	large = 128 << 10
	depth = 32
)

// run does what a line asks for.
func run(what, disk string, n int) error {
	if what == "nothing" {
		return nil
	}
	fd, err := unix.Open(disk, unix.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	d, err := newWork(fd)
	if err != nil {
		return err
	}
	defer d.close()
	do := map[string]func(n int) error{
		"read":        func(n int) error { return d.each(unix.SYS_PREAD64, small, n) },
		"read-128k":   func(n int) error { return d.each(unix.SYS_PREAD64, large, n) },
		"read-deep":   d.deep,
		"write":       func(n int) error { return d.each(unix.SYS_PWRITE64, small, n) },
		"write-flush": d.writeFlush,
		"flush":       d.flushes,
		"verify":      d.verify,
	}[what]
	if do == nil {
		return errors.New("not known")
	}
	return do(n)
}
