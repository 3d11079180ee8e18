// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files to a folder, for those who make file systems of it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// diskImage makes a disk of 24 MiB called name, whose first partition is a FAT and whose
// second an ext4, both with what is in dir.
func diskImage(t *testing.T, name, dir string) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(img, make([]byte, 24<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	program(t, "label: gpt\nsize=8MiB, type=uefi, name=\"EFI system\"\nsize=12MiB, type=linux\n", "sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", img)
	program(t, "", "mformat", "-i", img+"@@1M", "-v", "STICK", "-T", "16384", "-h", "16", "-s", "63", "::")
	program(t, "", "mcopy", append(append([]string{"-s", "-i", img + "@@1M"}, all...), "::")...)
	program(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-E", "offset=9437184", "-d", dir, img, "12M")
	return img
}

// cdImage makes a CD called name with what is in dir.
func cdImage(t *testing.T, name, dir string) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), name)
	program(t, "", "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "CD", "-o", img, dir)
	return img
}

// program runs a program of this machine.
func program(t *testing.T, input, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
