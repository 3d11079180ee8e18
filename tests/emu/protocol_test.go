// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/debian"
	"ringo/tools/emu"
)

// memtest gets a kernel of Debian's package memtest86+, bzImages without a payload
// for the 32-bit boot protocol.
func memtest(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(built.root, "build", "test", name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := debian.Fetch(os.Stderr, "memtest86+", debian.File{Pattern: "/boot/" + name, Dst: path}); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUnikernel runs an ELF64 file whose entry is that of its PVH note, in 32-bit
// mode, as those that TamaGo makes for microVMs are.
func TestUnikernel(t *testing.T) {
	m := guest.Build()
	m.Entry = m.EntryPVH
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(file(t, "micro.elf", string(m.ELF())))})
	h.ok(micro("uni", "echo"))
	h.echoes("uni")
	h.poweroff()
}

// TestI386 starts Debian's kernel for i386, without a disk, until it finds none.
func TestI386(t *testing.T) {
	if !*long {
		t.Skip("needs -long")
	}
	kernel := filepath.Join(built.root, "build", "test", "vmlinuz-i386")
	if _, err := os.Stat(kernel); err != nil {
		if err := debian.FetchFor(os.Stderr, "i386", "linux-image-686", debian.File{Pattern: "/boot/vmlinuz-*", Dst: kernel}); err != nil {
			t.Fatal(err)
		}
	}
	h := boot(t, emu.Config{MemMiB: 1024, Modules: modules(kernel)})
	h.ok(`create name=old kernel=boot:vmlinuz-i386 memory=256MiB on_crash=preserve cmdline="console=ttyS0"`)
	h.attach("old")
	h.see(guestTime, "Linux version")
	h.see(guestTime, "-686 ")
	h.see(guestTime, "Unable to mount root fs")
	h.detach()
	h.ok("destroy old")
	h.poweroff()
}

// TestMemtest runs a kernel that is no Linux, for i386 and for x86-64, by the 32-bit
// boot protocol: it finds its memory and begins to test it.
func TestMemtest(t *testing.T) {
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(memtest(t, "memtest86+ia32.bin"), memtest(t, "memtest86+x64.bin"))})
	for _, c := range []struct{ name, kernel string }{{"ia32", "memtest86+ia32.bin"}, {"x64", "memtest86+x64.bin"}} {
		line := fmt.Sprintf(`name=%s kernel=boot:%s memory=32MiB cmdline="console=ttyS0,115200"`, c.name, c.kernel)
		h.ok("create -n " + line)
		h.ok("create " + line)
		h.attach(c.name)
		h.see(guestTime, "Memtest86+")
		h.see(guestTime, "Test #")
		h.detach()
		h.ok("destroy " + c.name)
	}
	h.poweroff()
}
