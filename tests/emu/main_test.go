// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package emu boots the real images in QEMU and uses them as a person would:
// by the serial console. Each test starts its own machine.
package emu

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ringo/tools/debian"
	"ringo/tools/demo"
	"ringo/tools/emu"
	"ringo/tools/image"
)

var long = flag.Bool("long", false, "also run the tests that take minutes each")

// built is what the tests boot, made once.
var built struct {
	root string
	image.Images
	demo.Files
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "tests/emu:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// build makes the images and the demo guest's files in build/test.
func build() error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	if err := debian.Ensure(os.Stderr, "test"); err != nil {
		return err
	}
	built.root = root
	dir := filepath.Join(root, "build", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if built.Images, err = image.Build(root, dir); err != nil {
		return err
	}
	built.Files, err = demo.Prepare(os.Stderr, filepath.Join(root, "build", "demo"))
	return err
}

// modules are dom0, the demo guest's files and then more files.
func modules(more ...string) []emu.Module {
	m := []emu.Module{{Name: "dom0", Path: built.Dom0}}
	m = append(m, emu.Modules(built.Files.Modules()...)...)
	return append(m, emu.Modules(more...)...)
}
