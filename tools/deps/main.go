// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command deps finds the Debian packages that tasks need and this machine
// lacks. As root it installs them; else it prints the command that does and
// exits with status 1.
//
//	deps TASK...
package main

import (
	"fmt"
	"os"
	"strings"

	"ringo/tools/debian"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintf(os.Stderr, "usage: deps TASK...; tasks: %s\n", strings.Join(debian.Tasks(), ", "))
		os.Exit(2)
	}
	if err := debian.Ensure(os.Stderr, os.Args[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, "deps:", err)
		os.Exit(1)
	}
}
