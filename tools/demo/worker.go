// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package demo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"ringo/tools/initramfs/rootfs"
)

// LoadModules reads the modules of the demo guest's kernel, in the order in which they are
// to be loaded.
func (f Files) LoadModules() ([]rootfs.Module, error) { return load(drivers, f.driver) }

// LoadServerModules reads the modules of the server's initrd, in the order in which they
// are to be loaded.
func (f Files) LoadServerModules() ([]rootfs.Module, error) { return load(allDrivers(), f.driver) }

// Program builds a program of this module, by its import path, for Linux guests.
func Program(dst, path string) error {
	build := exec.Command("go", "build", "-o", dst, path)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Worker makes the initramfs dst, whose /init is a program of this module, by its import
// path. It finds the demo guest's drivers in /modules, in the order of their names.
func (f Files) Worker(dst, program string) error {
	dir, err := os.MkdirTemp(filepath.Dir(dst), "worker-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "init")
	if err := Program(out, program); err != nil {
		return err
	}
	init, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	modules, err := f.LoadModules()
	if err != nil {
		return err
	}
	b, err := rootfs.Worker(init, modules)
	if err != nil {
		return err
	}
	return writeAnew(dst, b)
}
