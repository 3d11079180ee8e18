// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/hcall"
	"ringo/dom0/problem"
	"ringo/hv/abi"
	"ringo/tools/debian"
)

const mib = 1 << 20

// memory is where boot modules lie.
type memory []byte

func (m memory) Slice(a, n uint64) []byte { return m[a:][:n] }

// rig is a machine with boot modules and disks.
type rig struct {
	*Files
	warnings []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if err := debian.Ensure(os.Stderr, "images"); err != nil {
		t.Fatal(err)
	}
	disk := partitioned(t)
	iso := run(t, "", "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "CD", "-o", "OUT", folder(t))
	var mem memory
	var list []abi.Module
	add := func(name string, b []byte) {
		m := abi.Module{Start: uint64(len(mem)), Size: uint64(len(b))}
		hcall.SetText(m.Name[:], name)
		mem, list = append(mem, b...), append(list, m)
	}
	add("vmlinuz", []byte("kernel"))
	add("cd.iso", iso)
	add("stick.imgp1", []byte("no image"))
	add("usb.img", disk)
	r := &rig{}
	changed := &drive{next: iso}
	dirty := bytes.Clone(disk[5*mib:][:8*mib])
	dirty[1024+0x3a] = 0 // the state of an ext4
	r.Files = New(Options{
		Memory: mem, Modules: list, Warn: func(line string) { r.warnings = append(r.warnings, line) },
		Web: func(url string) (io.ReaderAt, int64, error) {
			if url != "http://server/vmlinuz" {
				return nil, 0, errors.New("is not on its server")
			}
			return strings.NewReader("a server's"), 10, nil
		},
		Disks: func() []Disk {
			return []Disk{
				{"nvme0n1", bytes.NewReader(disk), int64(len(disk)), 512},
				{"nvme0n2", bytes.NewReader(dirty), int64(len(dirty)), 512},
				{"sick", failing{}, 1 << 30, 512},
				{"mad", failing{panics: true}, 1 << 30, 512},
				{"cd", changed, changed.Size(), 2048},
			}
		},
	})
	return r
}

// drive says that its medium is another one when it is read after Forget.
type drive struct {
	memory
	next   []byte
	forgot bool
}

func (d *drive) Forget()     { d.forgot = true }
func (d *drive) Size() int64 { return int64(len(d.memory)) }

func (d *drive) ReadAt(b []byte, off int64) (int, error) {
	if d.forgot {
		d.memory = d.next
	}
	return bytes.NewReader(d.memory).ReadAt(b, off)
}

// failing is a disk that cannot be read.
type failing struct{ panics bool }

func (f failing) ReadAt([]byte, int64) (int, error) {
	if f.panics {
		panic("a reader of disks is wrong")
	}
	return 0, errors.New("the device does not answer")
}

// TestOpen finds files by name.
func TestOpen(t *testing.T) {
	r := newRig(t)
	for name, want := range map[string]string{
		"boot:vmlinuz": "kernel", "boot:stick.imgp1": "no image",
		"boot:cd.iso/boot/vmlinuz": "a kernel", "boot:cd.iso/link": "a kernel",
		"boot:usb.imgp2/boot/initrd.gz": "an initrd", "boot:usb.imgp1/VMLINUZ": "a FAT's",
		"disk:nvme0n1p2/boot/vmlinuz": "a kernel", "disk:nvme0n1p2//boot/../../boot/vmlinuz/": "a kernel",
		"disk:nvme0n2/boot/vmlinuz": "a kernel", "disk:cd/boot/vmlinuz": "a kernel", "http://server/vmlinuz": "a server's",
	} {
		src, err := r.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := make([]byte, src.Size)
		if n, err := src.R.ReadAt(b, 0); n < len(b) || string(b) != want || src.Name != name {
			t.Errorf("%s: %q is %q, %v", name, src.Name, b, err)
		}
		if n, err := src.R.ReadAt(make([]byte, 2), src.Size-1); n != 1 || err != io.EOF {
			t.Errorf("%s, at its end: %d, %v", name, n, err)
		}
	}
	const warning = `warning: disk:nvme0n2 (ext4) was not unmounted: what was written last may be missing or damaged`
	if diff := cmp.Diff([]string{warning}, r.warnings); diff != "" {
		t.Error(diff)
	}
}

// TestMistakes are names that lead nowhere: the error says what there is.
func TestMistakes(t *testing.T) {
	r := newRig(t)
	for name, want := range map[string]string{
		"boot:vmlinux":               `no file "boot:vmlinux" (did you mean "boot:vmlinuz"?)`,
		"vmlinuz":                    `no file "vmlinuz" (did you mean "boot:vmlinuz"?)`,
		"tftp:x":                     `no file "tftp:x": the command files lists what there is`,
		"boot:dc.iso/x":              `no file "boot:dc.iso" (did you mean "boot:cd.iso"?)`,
		"boot:vmlinuz/x":             `boot:vmlinuz holds no file system that is known here`,
		"boot:cd.iso/boot/vmlinux":   `no file "boot:cd.iso/boot/vmlinux" (did you mean "boot:cd.iso/boot/vmlinuz"?)`,
		"boot:cd.iso/bot/vmlinuz":    `no file "boot:cd.iso/bot/vmlinuz" (did you mean "boot:cd.iso/boot"?)`,
		"boot:cd.iso/boot/other":     `no file "boot:cd.iso/boot/other": files boot:cd.iso/boot/ lists what there is`,
		"boot:cd.iso/boot":           `"boot:cd.iso/boot" is a folder: files boot:cd.iso/boot/ lists what is in it`,
		"boot:cd.iso/boot/vmlinuz/x": `no file "boot:cd.iso/boot/vmlinuz/x": vmlinuz is no folder`,
		"boot:cd.isop1/x":            `boot:cd.iso has no partition 1: it has no partitions: leave the number out`,
		"disk:nvme0n1p7/x":           `nvme0n1 has no partition 7: there is nvme0n1p1, nvme0n1p2, nvme0n1p3`,
		"disk:nvme0n1/x":             `disk:nvme0n1 holds no file system that is known here: there is disk:nvme0n1p1, disk:nvme0n1p2, disk:nvme0n1p3`,
		"disk:nvme0n1p3/x":           `disk:nvme0n1p3 holds swap space, which is not read here: FAT, ISO 9660 and ext2, ext3, ext4 are`,
		"disk:nvme0n1p2":             `"disk:nvme0n1p2" is a folder: files disk:nvme0n1p2/ lists what is in it`,
		"disk:nvme0n":                `no disk "nvme0n" (did you mean "disk:nvme0n1"?)`,
		"disk:sata/x":                `no disk "sata": there is nvme0n1, nvme0n2, sick, mad, cd`,
		"disk:sick/x":                `disk:sick the device does not answer`,
		"disk:sickp1/x":              `disk sick cannot be read: the device does not answer`,
		"http://server/none":         `"http://server/none" is not on its server`,
		"boot:cd.iso/loop":           `"boot:cd.iso/loop" cannot be read: its symbolic links lead too far`,
	} {
		_, err := r.Open(name)
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", name, err, want)
		}
	}
	_, err := r.Open("disk:mad/x")
	if e := problem.Of("", err); e == nil || e.Kind != problem.Internal || !strings.Contains(e.Message, "a reader of disks is wrong") {
		t.Errorf("a panic: %v", err)
	}
	if _, err := New(Options{}).Open("disk:nvme0n1/x"); err == nil || err.Error() != `no disk "nvme0n1": this machine has none that can be read` {
		t.Error(err)
	}
	if _, err := New(Options{}).Open("https://server/x"); err == nil || err.Error() != `there is no network for "https://server/x": put it among the boot modules, or on a disk` {
		t.Error(err)
	}
	if _, err := (content{failing{true}}).ReadAt(make([]byte, 1), 0); err == nil || !strings.HasPrefix(err.Error(), "cannot be read: internal error") {
		t.Error(err)
	}
}

// TestList lists folders.
func TestList(t *testing.T) {
	r := newRig(t)
	modules, err := r.List("")
	if err != nil || len(modules) != 4 || modules[0] != (File{"boot:cd.iso", modules[0].Size, ""}) {
		t.Error(modules, err)
	}
	for folder, want := range map[string][]File{
		"boot:cd.iso":      {{"boot:cd.iso/boot/", 0, ""}, {"boot:cd.iso/dir/", 0, "link"}, {"boot:cd.iso/link", 8, "link"}, {"boot:cd.iso/loop", 0, "link"}},
		"boot:cd.iso/dir/": {{"boot:cd.iso/dir/initrd.gz", 9, ""}, {"boot:cd.iso/dir/vmlinuz", 8, ""}},
		"disk:nvme0n1p1/":  {{"disk:nvme0n1p1/vmlinuz", 7, ""}},
		"disk:": {
			{"disk:nvme0n1/", 30 * mib, "gpt"}, {"disk:nvme0n1p1/", 4 * mib, `fat12 "STICK" ("EFI system")`},
			{"disk:nvme0n1p2/", 8 * mib, `ext4 "root"`}, {"disk:nvme0n1p3/", mib, "swap space"},
			{"disk:nvme0n2/", 8 * mib, `ext4 "root"`}, {"disk:sick/", 1 << 30, "the device does not answer"},
		},
	} {
		if folder == "disk:" {
			all := r.o.Disks
			r.o.Disks = func() []Disk { return all()[:3] }
		}
		got, err := r.List(folder)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", folder, err, diff)
		}
	}
	if _, err := r.List("boot:cd.iso/nothing"); err == nil {
		t.Error("a folder that is not there has a list")
	}
}

// partitioned is a disk with a FAT, an ext4 and swap space.
func partitioned(t *testing.T) []byte {
	disk := run(t, "label: gpt\nsize=4MiB, type=uefi, name=\"EFI system\"\nsize=8MiB, type=linux\nsize=1MiB, type=swap\n",
		"sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", "OUT", "30")
	small := t.TempDir()
	must(t, os.WriteFile(filepath.Join(small, "vmlinuz"), []byte("a FAT's"), 0o644))
	fat := filepath.Join(t.TempDir(), "fat")
	for _, args := range [][]string{{"mformat", "-C", "-i", fat, "-v", "STICK", "-T", "8192", "-h", "16", "-s", "63", "::"}, {"mcopy", "-i", fat, filepath.Join(small, "vmlinuz"), "::"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatal(args, err, string(out))
		}
	}
	b, err := os.ReadFile(fat)
	must(t, err)
	copy(disk[mib:], b)
	copy(disk[5*mib:], run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", folder(t), "OUT", "8M"))
	copy(disk[13*mib+4096-10:], "SWAPSPACE2")
	return disk
}

// folder is what file systems are made of.
func folder(t *testing.T) string {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "boot"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "boot/vmlinuz"), []byte("a kernel"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "boot/initrd.gz"), []byte("an initrd"), 0o644))
	for name, target := range map[string]string{"link": "boot/vmlinuz", "dir": "boot", "loop": "loop"} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	return dir
}

// run returns the file OUT that a program makes; a number after it is how many MiB are
// there before.
func run(t *testing.T, input, name string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	for i, a := range args {
		if a == "OUT" {
			args[i] = out
		}
	}
	if args[len(args)-1] == "30" {
		args = args[:len(args)-1]
		must(t, os.WriteFile(out, make([]byte, 30*mib), 0o644))
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(name, args, err, string(text))
	}
	b, err := os.ReadFile(out)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
