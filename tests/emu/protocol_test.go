// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/debian"
	"ringo/tools/emu"
	"ringo/tools/vmlinux/extract"
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

// unikernelAt is where TamaGo links programs to, whatever memory they need.
const unikernelAt = 0x10010000

// protocols are the micro guest's files for each way of being booted, and what it
// says of that.
func protocols() (files map[string][]byte, says map[string]string) {
	m := guest.Build()
	uni := guest.BuildAt(unikernelAt)
	m.Entry, uni.Entry = m.EntryPVH, uni.EntryPVH // as the files that TamaGo makes for microVMs
	return map[string][]byte{
			"pvh": m.ELF(), "uni": uni.ELF(), "linux32": m.Linux32(), "mb32": m.Multiboot(1, 32), "mb64": m.Multiboot(1, 64), "mbflat": m.Flat(1),
			"mb2-32": m.Multiboot(2, 32), "mb2-64": m.Multiboot(2, 64), "mb2-flat": m.Flat(2),
		}, map[string]string{
			"pvh": "0", "uni": "0", "linux32": "20", "mb32": "2badb002", "mb64": "2badb002", "mbflat": "2badb002",
			"mb2-32": "36d76289", "mb2-64": "36d76289", "mb2-flat": "36d76289",
		}
}

// protocolFiles are files as boot modules, the files that they are given, and a boot sector.
func protocolFiles(t *testing.T, files map[string][]byte) []string {
	t.Helper()
	paths := []string{
		file(t, "mods.toml", "memory = \"16MiB\"\n[boot]\nmodules = [\"boot:mod-a one two\", \"boot:mod-b\"]\n"),
		file(t, "mod-a", "first\x00"), file(t, "mod-b", "second\x00 and more"),
		file(t, "sector", string(guest.BootSector())),
	}
	for name, b := range files {
		paths = append(paths, file(t, name, string(b)))
	}
	return paths
}

// protocol starts the file name and sees that it is told by its protocol what it should be.
func (h *host) protocol(name, says string) {
	h.t.Helper()
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
	h.see(guestTime, "protocol "+says+"\n")
	h.see(verbTime, "cmdline mode=boot  by "+name+"\n")
	if name == "uni" { // of its 16 MiB 14 are where it is
		h.see(verbTime, "ram 200000\n")
	} else {
		h.see(verbTime, "ram 1000000\n")
	}
	if name != "linux32" {
		h.see(verbTime, "module boot:mod-a one two: 6 bytes: first\n")
		h.see(verbTime, "module boot:mod-b: 16 bytes: second\n")
	}
	h.wall(time.Now().UTC().Year())
	h.see(verbTime, "booted\n")
	h.detach()
	h.ok("destroy " + name)
}

// wall sees that a guest's paravirtual clock and its clock chip have the same time, and
// that it is about the right one, but in the given year.
func (h *host) wall(year int) {
	h.t.Helper()
	var n [5]int64
	for i, s := range h.seeRE(verbTime, `wall (\d+) paired (\d+) chip (\d+) (\d+) paired (\d+)\n`)[1:] {
		n[i], _ = strconv.ParseInt(s, 10, 64)
	}
	began, before, after := n[0], n[1], n[4]
	now := time.Now().UTC()
	now = now.AddDate(year-now.Year(), 0, 0)
	if off := now.Sub(time.Unix(before, 0)).Abs(); off > time.Hour { // an emulator may be slow
		h.t.Errorf("a guest's time is %v off: %v", off, n)
	}
	if began > before || before-began > 3600 || before > after {
		h.t.Errorf("a guest's clocks do not agree: %v", n)
	}
	if year != time.Now().UTC().Year() && !dom0Clock {
		h.t.Log("left out: clock chips, which go by dom0's clock, which TamaGo's runtime does not let anybody set")
		return
	}
	seconds, tens := n[2]>>4*10+n[2]&15, n[3]>>4*10+n[3]&15
	if (seconds-before%60+61)%60 > after-before+2 || tens != int64(time.Unix(before, 0).UTC().Year()%100) {
		h.t.Errorf("a guest's clocks do not agree: %v, the chip has %d seconds in the year %d", n, seconds, tens)
	}
}

// dom0Clock says that dom0's clock can be set.
var dom0Clock = os.Getenv("TOOLCHAIN") != "tamago"

// sector starts the boot sector.
func (h *host) sector() {
	h.t.Helper()
	h.ok("create name=sector kernel=boot:sector memory=4MiB")
	h.attach("sector")
	h.see(guestTime, "real mode -")
	h.see(verbTime, " second sector\n")
	h.detach()
}

// packings are the compressions of kernels that dom0 unpacks, but lz4, which the demo
// guest has.
var packings = []string{"gzip", "bzip2", "xz", "zstd"}

// packed are boot modules with a multiboot kernel, packed by each.
func packed(t *testing.T) (paths []string) {
	t.Helper()
	kernel := guest.Build().Multiboot(1, 64)
	for _, p := range packings {
		b, err := extract.Pack(kernel, p)
		if p == "xz" || p == "bzip2" {
			c := exec.Command(p, "-c")
			c.Stdin = bytes.NewReader(kernel)
			b, err = c.Output()
		}
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		paths = append(paths, file(t, "mb."+p, string(b)))
	}
	return paths
}

// packers starts what is packed.
func (h *host) packers() {
	h.t.Helper()
	for _, p := range packings {
		h.ok(fmt.Sprintf(`create name=packed kernel=boot:mb.%s cmdline="mode=boot" memory=16MiB`, p))
		h.attach("packed")
		h.see(guestTime, "protocol 2badb002\n")
		h.detach()
		h.ok("destroy packed")
	}
}

// fromVolume starts a kernel that lies in a file system, with its configuration and a
// module, and one that does not.
func (h *host) fromVolume(volume string) {
	h.t.Helper()
	if list := h.ok("files " + volume + "/boot"); !hasWord(list, volume+"/boot/first") || !hasWord(list, volume+"/boot/pvh") {
		h.t.Errorf("files %s/boot:\n%s", volume, list)
	}
	h.fails(fmt.Sprintf("create name=image kernel=%s/boot/phv", volume), fmt.Sprintf("(did you mean %q?)", volume+"/boot/pvh"))
	h.ok(fmt.Sprintf("create %s/image.toml kernel=%[1]s/boot/pvh initrd=%[1]s/boot/first", volume))
	h.attach("image")
	h.see(guestTime, "protocol 0\n")
	h.see(verbTime, fmt.Sprintf("module %s/boot/first: 6 bytes: first\n", volume))
	h.detach()
	h.ok("destroy image")
}

// TestProtocols starts the micro guest by each boot protocol, and a boot sector: it is
// told its command line, memory and modules.
func TestProtocols(t *testing.T) {
	t.Parallel()
	files, says := protocols()
	more := protocolFiles(t, files)
	more = append(more, file(t, "mute", "\xfa\xf4"+strings.Repeat("\x90", 508)+"\x55\xaa"))
	more = append(more, packed(t)...)
	dir := tree(t, map[string]string{
		"boot/pvh": string(files["pvh"]), "boot/first": "first\x00",
		"image.toml": "memory = \"16MiB\"\n[boot]\ncmdline = \"mode=boot\"\n",
	})
	more = append(more, diskImage(t, "disk.img", dir), cdImage(t, "cd.iso", dir))
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(more...)})
	free := h.free()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.protocol(name, says[name])
	}
	h.packers()
	for _, volume := range []string{"boot:cd.iso", "boot:disk.imgp1", "boot:disk.imgp2"} {
		h.fromVolume(volume)
	}
	h.sector()
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
