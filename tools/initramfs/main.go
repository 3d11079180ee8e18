// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Initramfs writes the demo guest's initramfs around a static busybox.
//
//	go run ./tools/initramfs -busybox /bin/busybox -o build/initrd.gz [module.ko ...]
//
// Init loads the modules in the order in which they are given.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ringo/tools/initramfs/rootfs"
)

func main() {
	busybox := flag.String("busybox", "/bin/busybox", "static busybox for amd64 (Debian: busybox-static)")
	out := flag.String("o", "", "file to write")
	flag.Parse()
	if *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*busybox, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "initramfs:", err)
		os.Exit(1)
	}
}

func run(busybox, out string, modules []string) error {
	data, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", busybox, err)
	}
	var ms []rootfs.Module
	for _, name := range modules {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		ms = append(ms, rootfs.Module{Name: filepath.Base(name), Data: b})
	}
	img, err := rootfs.Demo(data, strings.Fields(string(list)), ms)
	if err != nil {
		return err
	}
	return os.WriteFile(out, img, 0o644)
}
