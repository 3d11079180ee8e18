// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
	if err := debian.Fetch(os.Stderr, "memtest86+", "/boot/"+name, path); err != nil {
		t.Fatal(err)
	}
	return path
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
