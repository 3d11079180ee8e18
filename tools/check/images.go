// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"ringo/tools/image"
)

// images builds hv and dom0, then both again from a copy of the sources in
// another folder: the files must be equal.
func images(root string) error {
	first, err := image.Build(root, filepath.Join(root, "build"))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "ringo-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	again := filepath.Join(tmp, "src")
	if err := copySources(again, root); err != nil {
		return err
	}
	second, err := image.Build(again, filepath.Join(tmp, "out"))
	if err != nil {
		return err
	}
	for _, f := range [][2]string{{first.HV, second.HV}, {first.Dom0, second.Dom0}} {
		a, err := os.ReadFile(f[0])
		if err != nil {
			return err
		}
		b, err := os.ReadFile(f[1])
		if err != nil {
			return err
		}
		sa, sb := sha256.Sum256(a), sha256.Sum256(b)
		if sa != sb {
			return fmt.Errorf("not reproducible: %s has sha256 %x, built elsewhere %x", filepath.Base(f[0]), sa, sb)
		}
		fmt.Printf("%x  %s  %d bytes, the same from another folder\n", sa, filepath.Base(f[0]), len(a))
	}
	return nil
}

// copySources copies what go build reads: everything but hidden folders and
// build.
func copySources(dst, root string) error {
	if err := os.Mkdir(dst, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(root, e.Name()), filepath.Join(dst, e.Name())
		switch {
		case e.Name() == "build" || e.Name()[0] == '.':
		case e.IsDir():
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				return err
			}
		case e.Type().IsRegular():
			b, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if err := os.WriteFile(to, b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
