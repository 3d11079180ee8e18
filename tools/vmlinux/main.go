// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Vmlinux takes the ELF kernel out of a Linux bzImage, so that creating a guest
// does not spend its time in xz.
//
//	go run ./tools/vmlinux -z zstd -o build/vmlinux.zst /boot/vmlinuz-6.1.0-56-amd64
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"ringo/tools/vmlinux/extract"
)

func main() {
	out := flag.String("o", "", "file to write")
	method := flag.String("z", "none", "compression of the result: "+strings.Join(extract.Methods(), ", "))
	flag.Parse()
	if *out == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out, *method); err != nil {
		fmt.Fprintln(os.Stderr, "vmlinux:", err)
		os.Exit(1)
	}
}

func run(in, out, method string) error {
	b, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	if b, err = extract.ELF(in, b); err != nil {
		return err
	}
	if b, err = extract.Pack(b, method); err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}
