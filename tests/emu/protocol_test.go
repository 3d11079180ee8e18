// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// protocols are the micro guest's files for each way of being booted, and what it
// says of that.
func protocols() (files map[string][]byte, says map[string]string) {
	m := guest.Build()
	uni := m
	uni.Entry = m.EntryPVH // as the files that TamaGo makes for microVMs
	return map[string][]byte{
			"pvh": uni.ELF(), "linux32": m.Linux32(), "mb32": m.Multiboot(1, 32), "mb64": m.Multiboot(1, 64), "mbflat": m.Flat(1),
			"mb2-32": m.Multiboot(2, 32), "mb2-64": m.Multiboot(2, 64), "mb2-flat": m.Flat(2),
		}, map[string]string{
			"pvh": "0", "linux32": "20", "mb32": "2badb002", "mb64": "2badb002", "mbflat": "2badb002",
			"mb2-32": "36d76289", "mb2-64": "36d76289", "mb2-flat": "36d76289",
		}
}

// TestProtocols starts the micro guest by each boot protocol, and a boot sector: it is
// told its command line, memory and modules.
func TestProtocols(t *testing.T) {
	t.Parallel()
	files, says := protocols()
	more := []string{
		file(t, "mods.toml", "memory = \"16MiB\"\n[boot]\nmodules = [\"boot:mod-a one two\", \"boot:mod-b\"]\n"),
		file(t, "mod-a", "first\x00"), file(t, "mod-b", "second\x00 and more"),
		file(t, "sector", string(guest.BootSector())), file(t, "mute", "\xfa\xf4"+strings.Repeat("\x90", 508)+"\x55\xaa"),
	}
	for name, b := range files {
		more = append(more, file(t, name, string(b)))
	}
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(more...)})
	free := h.free()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		line := fmt.Sprintf(`name=%s kernel=boot:%[1]s cmdline="mode=boot  by %[1]s"`, name)
		if name == "linux32" {
			h.fails("create mods.toml "+line, "is a Linux, which takes no modules: use initrd")
			line += " memory=16MiB"
		} else {
			line = "mods.toml " + line
		}
		h.ok("create -n " + line)
		h.ok("create " + line)
		h.attach(name)
		h.see(guestTime, "protocol "+says[name]+"\n")
		h.see(verbTime, "cmdline mode=boot  by "+name+"\n")
		h.see(verbTime, "ram 1000000\n")
		if name != "linux32" {
			h.see(verbTime, "module boot:mod-a one two: 6 bytes: first\n")
			h.see(verbTime, "module boot:mod-b: 16 bytes: second\n")
		}
		h.see(verbTime, "booted\n")
		h.detach()
		h.ok("destroy " + name)
	}
	h.ok("create name=sector kernel=boot:sector memory=4MiB")
	h.attach("sector")
	h.see(guestTime, "real mode -")
	h.see(verbTime, " second sector\n")
	h.detach()
	const needs = `no handler: this program needs a BIOS (firmware = "bios"); interrupt 0x13`
	for !strings.Contains(h.ok("dmesg sector"), needs) { // the last thing that it does
		if !strings.HasPrefix(needs, strings.TrimSpace(h.ok("dmesg sector"))) {
			t.Fatalf("dmesg sector: %q", h.ok("dmesg sector"))
		}
	}
	h.ok("destroy sector")
	h.key("create -c name=mute kernel=boot:mute memory=4MiB\r")
	h.see(guestTime, `domain "mute" has printed nothing on its console (COM1) yet; halted with interrupts off at 0x7c02: it has given up`)
	h.detach()
	if out := h.ok("dominfo mute"); !strings.Contains(out, "halted with interrupts off at 0x7c02") {
		t.Errorf("dominfo: %q", out)
	}
	h.ok("destroy mute")
	h.ok(`create name=debug kernel=boot:pvh cmdline="mode=debug" memory=16MiB debug_exit=true on_poweroff=preserve`)
	h.see(guestTime, `domain "debug" has ended with code 42: kept`)
	if out := h.ok("list debug"); !strings.HasSuffix(out, "  code 42") {
		t.Errorf("list: %q", out)
	}
	if out := h.ok("dominfo debug"); !strings.Contains(out, "\nExit code:      42\n") {
		t.Errorf("dominfo: %q", out)
	}
	if out := h.ok("dmesg debug"); out != "abc" {
		t.Errorf("dmesg: %q", out)
	}
	h.ok("destroy debug")
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before", got, free)
	}
	h.poweroff()
}

// TestI386 starts Debian's kernel for i386, without a disk, until it finds none.
func TestI386(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
