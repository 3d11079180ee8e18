// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ext

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringo/dom0/files/filestest"
	"ringo/tools/debian"
)

// FuzzOpen reads file systems that are damaged in places.
func FuzzOpen(f *testing.F) {
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	small(f, dir)
	var images [][]byte
	for i, args := range []string{
		"-t ext2 -b 1024 -I 128 -O none", "-t ext4 -b 1024 -O ^has_journal", "-t ext4 -b 1024 -O inline_data,^has_journal -I 256",
		"-t ext4 -b 1024 -g 256 -O meta_bg,64bit,^resize_inode,^has_journal",
	} {
		name := filepath.Join(f.TempDir(), "img")
		all := append(strings.Fields(args), "-q", "-F", "-N", "64", "-d", dir, name, "600k")
		if out, err := exec.Command("mke2fs", all...).CombinedOutput(); err != nil {
			f.Fatal(err, string(out))
		}
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, b)
		f.Add(uint8(i), []byte("\x00\x04\x00\x00\x04\xff\xff\xff\xff\x20\x04\x00\x00\x02\x01\x00"))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		image := images[int(which)%len(images)]
		d := &filestest.Damaged{Image: image, Patches: filestest.Patches(b, len(image))}
		if fs, err := Open(d); err == nil {
			filestest.Walk(t, d, fs)
		}
	})
}

// small makes a folder with a few files of each kind.
func small(f *testing.F, dir string) {
	check := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(dir, "boot/grub"), 0o755))
	check(os.WriteFile(filepath.Join(dir, "boot/vmlinuz"), make([]byte, 100_000), 0o644))
	check(os.WriteFile(filepath.Join(dir, "boot/tiny"), []byte(strings.Repeat("tiny", 25)), 0o644))
	check(os.Symlink("vmlinuz", filepath.Join(dir, "boot/link")))
	check(os.Symlink(strings.Repeat("../boot/", 12)+"tiny", filepath.Join(dir, "boot/long")))
	holes, err := os.Create(filepath.Join(dir, "holes"))
	check(err)
	for i := range 90 {
		_, err := holes.WriteAt([]byte{1}, int64(i)*2048*2)
		check(err)
	}
	check(holes.Close())
}
