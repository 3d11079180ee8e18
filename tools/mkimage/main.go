// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Mkimage makes a bootable image of a Go program that was linked with
//
//	go build -trimpath -ldflags "-T 0x101000 -E ringo/boot/kernel.startBare"
//
// It writes a multiboot 1 and a multiboot 2 header into bytes of the ELF header
// page that the linker leaves unused, and cuts the file behind the data: what
// follows is for debuggers. The output depends on the input only.
//
//	mkimage [-raw] IN OUT
//
// With -raw nothing is patched in: only the part that is loaded is kept, for a
// program that another loader starts.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	raw := flag.Bool("raw", false, "cut only, write no headers")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: mkimage [-raw] IN OUT")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *raw); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(in, out string, raw bool) error {
	b, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	img, err := load(b)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if !raw {
		if err := img.patch(); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	return os.WriteFile(out, img.data, 0o755)
}
