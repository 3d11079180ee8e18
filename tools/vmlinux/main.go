// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Vmlinux takes the ELF kernel out of a Linux bzImage, so that creating a guest
// does not spend its time in xz.
//
//	go run ./tools/vmlinux -z lz4 -o build/vmlinux.lz4 /boot/vmlinuz-6.1.0-56-amd64
//
// What loading Debian's 6.1 kernel takes in dom0, measured as instructions on
// QEMU TCG with -icount, and the size of the file:
//
//	none      0.01 G   65.0 MB
//	lz4       0.23 G   14.8 MB
//	zstd      0.66 G   12.0 MB
//	gzip      1.86 G   11.8 MB
//	bzImage   7.40 G    8.2 MB (xz)
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
