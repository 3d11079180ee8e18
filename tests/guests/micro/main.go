// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Micro writes the micro guest's image.
//
//	go run ./tests/guests/micro -o DIR
//
// makes DIR/micro.elf. Start it with "mode=NAME" as its command line, from
// Ringo's console:
//
//	create name=b kernel=boot:micro.elf cmdline="mode=bench" memory=64MiB
//
// or, for a comparison, on QEMU's bare machine:
//
//	qemu-system-x86_64 -machine q35 -vga none -nographic -kernel micro.elf -append mode=bench
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"ringo/tests/guests/micro/guest"
)

func main() {
	out := flag.String("o", "", "directory for micro.elf")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: micro -o DIR\n\nmodes:")
		for _, m := range guest.Modes {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-10s %s\n", m.Name, m.About)
		}
	}
	flag.Parse()
	if *out == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := os.WriteFile(filepath.Join(*out, "micro.elf"), guest.Build().ELF(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "micro:", err)
		os.Exit(1)
	}
}
