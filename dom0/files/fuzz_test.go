// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringo/dom0/files/filestest"
	"ringo/tools/debian"
)

// FuzzOpen reads file systems of all kinds that are damaged in places.
func FuzzOpen(f *testing.F) {
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	small(f, dir)
	var images [][]byte
	add := func(commands ...string) {
		img := filepath.Join(f.TempDir(), "img")
		for _, c := range commands {
			args := strings.Fields(strings.NewReplacer("OUT", img, "DIR", dir).Replace(c))
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				f.Fatal(c, err, string(out))
			}
		}
		b, err := os.ReadFile(img)
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, b)
	}
	add("mke2fs -q -F -N 64 -t ext2 -b 1024 -I 128 -O none -d DIR OUT 600k")
	add("mke2fs -q -F -N 64 -t ext4 -b 1024 -O ^has_journal -d DIR OUT 600k")
	add("mke2fs -q -F -N 64 -t ext4 -b 1024 -O inline_data,^has_journal -I 256 -d DIR OUT 600k")
	add("mke2fs -q -F -N 64 -t ext4 -b 1024 -g 256 -O meta_bg,64bit,^resize_inode,^has_journal -d DIR OUT 600k")
	for _, args := range []string{"-c 1 -T 2000", "-c 1 -T 6000", "-F -c 1 -T 70000"} {
		add("mformat -C -i OUT -v LABEL -h 16 -s 63 "+args+" ::", "mcopy -s -i OUT DIR/boot ::")
	}
	for _, args := range []string{"-R", "-J -joliet-long", "--norock"} {
		add("xorriso -as mkisofs -quiet -V LABEL " + args + " -o OUT DIR")
	}
	for i := range images {
		f.Add(uint8(i), []byte("\x00\x04\x00\x00\x04\xff\xff\xff\xff\x20\x04\x00\x00\x02\x01\x00"))
		f.Add(uint8(i), []byte("\x0b\x00\x00\x00\x03\x00\x02\x08\x00\x02\x00\x00\x04\xf8\xff\x03\x00"))
		f.Add(uint8(i), []byte("\x9e\x80\x00\x00\x04\xff\xff\xff\xff\x02\x98\x00\x00\x02\x01\x00"))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		image := images[int(which)%len(images)]
		d := &filestest.Damaged{Image: image, Patches: filestest.Patches(b, len(image))}
		if fs, err := open(d, int64(len(image))); err == nil {
			filestest.Walk(t, d, fs)
		}
	})
}

// small makes a folder with a few files of each kind, too deep for a CD's plain names.
func small(f *testing.F, dir string) {
	check := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(dir, "boot/grub"), 0o755))
	check(os.MkdirAll(filepath.Join(dir, "a/b/c/d/e/f/g/h"), 0o755))
	check(os.WriteFile(filepath.Join(dir, "a/b/c/d/e/f/g/h/deep"), make([]byte, 3000), 0o644))
	check(os.WriteFile(filepath.Join(dir, "boot/vmlinuz"), make([]byte, 100_000), 0o644))
	check(os.WriteFile(filepath.Join(dir, "boot/a long name of a small file"), []byte(strings.Repeat("tiny", 25)), 0o644))
	holes, err := os.Create(filepath.Join(dir, "holes"))
	check(err)
	for i := range 90 {
		_, err := holes.WriteAt([]byte{1}, int64(i)*2048*2)
		check(err)
	}
	check(holes.Close())
	check(os.Symlink("boot/vmlinuz", filepath.Join(dir, "link")))
	check(os.Symlink(strings.Repeat("boot/../", 12)+"boot/vmlinuz", filepath.Join(dir, "long")))
}
