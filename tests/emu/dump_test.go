// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/debian"
)

// testDump has a guest crash, and looks at the core file that is kept of it: its
// registers are those of the crash, its memory has the program. whole says that all of
// the file is looked at, else its headers.
func (h *host) testDump(whole bool) {
	h.t.Helper()
	h.ok(`create name=core kernel=boot:micro.elf cmdline="mode=crash" memory=4MiB on_crash=coredump-destroy`)
	h.gone("core", `domain "core" crashed: by its own hypercall (dumped: dumps core): destroying it`)
	size := int64(4096)
	if whole {
		for line := range strings.Lines(h.ok("dumps core")) {
			if s, ok := strings.CutPrefix(line, "Size:"); ok {
				size, _ = strconv.ParseInt(strings.Fields(s)[0], 10, 64)
			}
		}
	}
	file := h.bytes("core", size)
	h.ok("dumps -d core")
	h.fails("dumps core", `no dump of "core"`)
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		h.t.Fatal(err)
	}
	if f.Type != elf.ET_CORE || f.Machine != elf.EM_X86_64 || len(f.Progs) < 2 || f.Progs[0].Type != elf.PT_NOTE {
		h.t.Fatalf("%+v", f)
	}
	status := file[f.Progs[0].Off+20:] // of the first note's content
	reg := func(i int) uint64 { return binary.LittleEndian.Uint64(status[112+8*i:]) }
	code := guest.Build().Code
	rip := reg(16)
	if reg(3) != guest.CrashMark || rip < guest.Base || rip > guest.Base+uint64(len(code)) {
		h.t.Errorf("R12 is %#x, RIP %#x", reg(3), rip)
	}
	if !whole {
		return
	}
	found := false
	for _, p := range f.Progs[1:] {
		if p.Type != elf.PT_LOAD || p.Paddr > rip || rip >= p.Paddr+p.Memsz {
			continue
		}
		b := make([]byte, 64)
		if _, err := p.ReadAt(b, int64(rip-p.Paddr)); err != nil || !bytes.Equal(b, code[rip-guest.Base:][:64]) {
			h.t.Errorf("at RIP is % x, %v", b, err)
		}
		found = true
	}
	if !found {
		h.t.Errorf("no segment has RIP: %+v", f.Progs)
	}
	if *long {
		h.gdb(file, rip, code[rip-guest.Base:][:4])
	}
}

// bytes is the beginning of a dump, as it is shown.
func (h *host) bytes(name string, size int64) []byte {
	h.t.Helper()
	file := make([]byte, size)
	for line := range strings.Lines(h.ok(fmt.Sprintf("dumps -x %s 0 %d", name, size))) {
		at, text, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			continue // a star: zeros
		}
		off, err := strconv.ParseInt(at, 16, 64)
		if err != nil || off < 0 || off >= size {
			continue // a line of the log
		}
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			h.t.Fatalf("%q: %v", line, err)
		}
		copy(file[off:], b)
	}
	return file
}

// gdb has Debian's read a dump.
func (h *host) gdb(file []byte, rip uint64, code []byte) {
	h.t.Helper()
	if err := debian.Ensure(os.Stderr, "gdb"); err != nil {
		h.t.Fatal(err)
	}
	path := filepath.Join(h.t.TempDir(), "core")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		h.t.Fatal(err)
	}
	out, err := exec.Command("gdb", "-nx", "-batch", "-ex", "core-file "+path,
		"-ex", "info threads", "-ex", "p/x $r12", "-ex", "p/x $rip", "-ex", fmt.Sprintf("x/4xb %#x", rip)).CombinedOutput()
	for _, want := range []string{
		fmt.Sprintf("$1 = %#x", uint64(guest.CrashMark)), fmt.Sprintf("$2 = %#x", rip),
		fmt.Sprintf("0x%02x\t0x%02x\t0x%02x\t0x%02x", code[0], code[1], code[2], code[3]),
	} {
		if !strings.Contains(string(out), want) {
			h.t.Errorf("gdb does not say %q: %v\n%s", want, err, out)
		}
	}
}
