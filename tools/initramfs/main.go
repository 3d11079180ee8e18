// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Initramfs writes the demo guest's initramfs around a static busybox.
//
//	go run ./tools/initramfs -busybox /bin/busybox -o build/initrd.gz
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"ringo/tools/initramfs/rootfs"
)

func main() {
	busybox := flag.String("busybox", "/bin/busybox", "static busybox for amd64 (Debian: busybox-static)")
	out := flag.String("o", "", "file to write")
	flag.Parse()
	if *out == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*busybox, *out); err != nil {
		fmt.Fprintln(os.Stderr, "initramfs:", err)
		os.Exit(1)
	}
}

func run(busybox, out string) error {
	data, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", busybox, err)
	}
	img, err := rootfs.Demo(data, strings.Fields(string(list)))
	if err != nil {
		return err
	}
	return os.WriteFile(out, img, 0o644)
}
