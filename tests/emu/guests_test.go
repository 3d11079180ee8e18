// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"ringo/tools/demo"
	"ringo/tools/emu"
)

// linux is the line that creates a small Linux.
func linux(name string) string {
	return fmt.Sprintf(`create name=%s kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=160MiB cmdline="console=ttyS0"`, name)
}

// TestTwoGuests runs two at once and talks to them in turn. The second one is Debian's
// kernel for clouds, as it is distributed, with four CPUs.
func TestTwoGuests(t *testing.T) {
	t.Parallel()
	const n = 2
	h := boot(t, emu.Config{MemMiB: 1024, HVArgs: "watchdog", Modules: modules(kindFiles(t, demo.Kinds[1])...)})
	free := h.free()
	for i := range n {
		line := linux(fmt.Sprintf("g%d", i))
		if i == 1 {
			line = linuxOf("g1", demo.Kinds[1], 4)
		}
		h.ok(line + " cpus=0")
	}
	for i := range n {
		h.attach(fmt.Sprintf("g%d", i))
		h.shell()
		if i == 1 {
			h.isKind(demo.Kinds[1], 4)
		}
		h.sh(fmt.Sprintf("hostname guest-%d", i))
		h.detach()
	}
	for i := range n {
		h.attach(fmt.Sprintf("g%d", i))
		h.key("\r")
		if got, want := h.sh("hostname"), fmt.Sprintf("guest-%d", i); got != want {
			t.Errorf("g%d says it is %q", i, got)
		}
		h.detach()
	}
	h.stolen("g0", "g1")
	h.endsInMemory("g0")
	if rows := h.list(); len(rows) != n+1 {
		t.Errorf("%d domains in list, want %d", len(rows), n+1)
	}
	for i := range n {
		h.ok(fmt.Sprintf("destroy g%d", i))
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the guests", got, free)
	}
	h.poweroff()
}

// TestOldPC starts Linux as on a PC whose firmware left interrupts to the 8259As,
// and restarts it through the reset vector.
func TestOldPC(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	h.ok(`create name=old kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=160MiB on_reboot=restart cmdline="console=ttyS0 nolapic reboot=b"`)
	h.attach("old")
	h.shell()
	if got := h.sh("grep -c XT-PIC /proc/interrupts"); got == "0" {
		t.Errorf("no interrupt goes through the 8259As:\n%s", h.sh("cat /proc/interrupts"))
	}
	h.key("reboot -f\r")
	h.see(guestTime, "Linux version")
	h.shell()
	h.detach()
	h.ok("destroy old")
	h.poweroff()
}

// stolen has two guests compute on the CPU that they share until each has seen that it
// waits for the other one.
func (h *host) stolen(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.attach(name)
		h.key("\r")
		h.sh("(while :; do :; done) & true")
		h.detach()
	}
	for _, name := range names {
		h.attach(name)
		h.key("\r")
		got := h.sh("steal() { set -- $(grep '^cpu ' /proc/stat); echo $9; }; while [ $(steal) -lt 20 ]; do :; done; echo stolen")
		if got != "stolen" {
			h.t.Errorf("%s says %q", name, got)
		}
		h.detach()
	}
}

// endsInMemory has a guest that computes tell that its timer's interrupts cost it one write
// to an MSR each, which sets the timer again, and not a second one that ends them.
func (h *host) endsInMemory(name string) {
	h.t.Helper()
	const ticks = 1000
	look := func(command string) (interrupts, writes int) {
		h.t.Helper()
		h.attach(name)
		h.key("\r")
		n, err := strconv.Atoi(h.sh("loc() { set -- $(grep LOC: /proc/interrupts); echo $2; }; " + command + "loc"))
		h.detach()
		m := regexp.MustCompile(`(?m)^wrmsr +(\d+) `).FindStringSubmatch(h.ok("stats " + name))
		if err != nil || m == nil {
			h.t.Fatalf("%v, or stats show no wrmsr", err)
		}
		writes, _ = strconv.Atoi(m[1])
		return n, writes
	}
	ints, writes := look("")
	moreInts, moreWrites := look(fmt.Sprintf("n=$(loc); while [ $(loc) -lt $((n + %d)) ]; do :; done; ", ticks))
	ints, writes = moreInts-ints, moreWrites-writes
	h.t.Logf("%s: %d interrupts of its timer, %d writes to MSRs", name, ints, writes)
	if ints < ticks || writes > ints*3/2 {
		h.t.Errorf("%s writes to MSRs %d times for %d interrupts of its timer", name, writes, ints)
	}
}
