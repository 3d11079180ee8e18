// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestCrowd creates the domains that cost the hypervisor most, until there is no
// room for another in its own memory. The one too many is refused and nothing
// else happens: guests and dom0 go on, all memory comes back, and as many fit
// again. Then as many as compute are no trouble to one that does not.
func TestCrowd(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{SMP: 2, MemMiB: 2048})
	h.ok(crowded("first", "hlt")) // what is made once and kept, is made now
	h.ok("destroy first")
	free, records := h.free(), h.records()
	sizes := map[int]bool{}
	for range 2 {
		names := h.crowd()
		sizes[len(names)] = true
		if n := len(h.list()); n != len(names)+1 {
			t.Errorf("%d domains in list, %d were made", n, len(names)+1)
		}
		h.echoes(names[0])
		h.echoes(names[len(names)-1])
		t.Logf("%d domains: %s", len(names), h.do("debug-keys m"))
		for _, name := range names {
			h.ok("destroy " + name)
		}
		if got := h.free(); got != free {
			t.Errorf("free memory %d, %d before", got, free)
		}
		if got := h.records(); got != records {
			t.Errorf("%s, before %s", got, records)
		}
	}
	for n := range sizes {
		if n < 20 || len(sizes) > 1 {
			t.Errorf("%d domains fit", n)
		}
	}
	h.busy(16)
	h.poweroff()
}

// busy has n guests compute without end: another one, and dom0, answer all the same.
func (h *host) busy(n int) {
	h.t.Helper()
	h.ok(crowded("quiet", "echo"))
	for i := range n {
		h.ok(micro(fmt.Sprintf("busy%d", i), "spin"))
	}
	h.echoes("quiet")
	for i := range n {
		name := fmt.Sprintf("busy%d", i)
		if h.list()[name].seconds == 0 {
			h.t.Errorf("%s has had no CPU", name)
		}
		h.ok("destroy " + name)
	}
}

// crowd creates domains until one is refused, the first and the last with a
// guest that answers.
func (h *host) crowd() (names []string) {
	h.t.Helper()
	for mode := "echo"; len(names) < 255; mode = "hlt" {
		name := fmt.Sprintf("g%d", len(names))
		out := h.do(crowded(name, mode))
		if strings.Contains(out, "error: ") {
			break
		}
		names = append(names, name)
	}
	last := names[len(names)-1]
	h.ok("destroy " + last)
	h.ok(crowded(last, "echo"))
	free := h.free()
	h.fails(crowded("more", "hlt"), `no room for "more"`, "hypervisor's own memory is full", "fewer vcpus", "destroy a domain", "pool=")
	if got := h.free(); got != free {
		h.t.Errorf("free memory %d after a refusal, %d before", got, free)
	}
	return names
}

// crowded is the line that creates a domain of little memory and many vCPUs.
func crowded(name, mode string) string {
	return fmt.Sprintf(`create name=%s kernel=boot:micro.elf cmdline="mode=%s" memory=4MiB vcpus=32`, name, mode)
}

// records is the account of the hypervisor's memory for domains.
func (h *host) records() string {
	h.t.Helper()
	out := h.ok("debug-keys m")
	_, account, ok := strings.Cut(out, "records of domains: ")
	if !ok {
		h.t.Fatalf("no account in %q", out)
	}
	account, _, _ = strings.Cut(account, "\n")
	return account
}

// echoes types to a guest that sends everything back, once it says so: its start clears
// the receiver's FIFO, as any driver's does, and with it what was typed before.
func (h *host) echoes(name string) {
	h.t.Helper()
	h.attach(name)
	h.see(verbTime, "micro: echo")
	h.key("are you there")
	h.see(verbTime, "are you there")
	h.detach()
}
