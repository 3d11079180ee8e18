// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command unikernel builds the suite's unikernel with TamaGo's compiler, for the board
// that BOARD names (qemu, firecracker or cloudhypervisor): build/unikernel, a file for
// the FILES of make run.
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"ringo/tools/image"
	"ringo/tools/tamago"
)

func main() {
	if err := build(cmp.Or(os.Getenv("BOARD"), "qemu")); err != nil {
		fmt.Fprintln(os.Stderr, "unikernel:", err)
		os.Exit(1)
	}
}

func build(board string) error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	pkg := filepath.Join("tests", "guests", "unikernel")
	if _, err := os.Stat(filepath.Join(root, pkg, board+".go")); err != nil {
		return fmt.Errorf("BOARD=%s: want qemu, firecracker or cloudhypervisor", board)
	}
	c, err := tamago.Get(root, filepath.Join(root, "build", "tamago"))
	if err != nil {
		return err
	}
	out := filepath.Join("build", "unikernel")
	if err := c.Unikernel("./"+pkg, out, board, "linkramsize"); err != nil {
		return err
	}
	fmt.Println(out)
	return nil
}
