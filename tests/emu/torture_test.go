// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// oneThread is an emulator that runs all CPUs on one thread, in turn; plain
// TCG has a thread for each.
const oneThread = emu.Accel("tcg,thread=single")

// TestRuntimeTorture runs guests that check themselves while the runtimes of the
// hypervisor and of dom0 collect, allocate and grow stacks all the time, and
// vCPUs outnumber CPUs, so that all of them migrate. Nothing may change, nobody
// may stop, and the memory comes back.
func TestRuntimeTorture(t *testing.T) {
	if !*long {
		torture(t, emu.Config{SMP: 2, MemMiB: 1024}, 20*time.Second, false)
		return
	}
	for _, c := range []emu.Config{
		{SMP: 2, MemMiB: 1024},
		{SMP: 4, MemMiB: 1024},
		{SMP: 4, MemMiB: 1024, Accel: oneThread},
		{SMP: 1, MemMiB: 1024},
	} {
		t.Run(fmt.Sprintf("smp%d-%s", c.SMP, c.Accel), func(t *testing.T) {
			torture(t, c, 3*time.Minute, true)
		})
	}
}

// torture runs for a time, with a Linux of two vCPUs if withLinux.
func torture(t *testing.T, c emu.Config, d time.Duration, withLinux bool) {
	c.HVArgs = fmt.Sprintf("torture noreboot dom0_max_vcpus=%d", min(c.SMP, 2))
	h := bootMicro(t, c)
	h.ok(micro("first", "spin")) // what is made once and kept, is made now
	h.ok("destroy first")
	free := h.free()
	guests := map[string]string{"regs0": "regs", "regs1": "regs", "mem": "memcheck", "gap": "gap", "flood": "flood"}
	for name, mode := range guests {
		h.ok(micro(name, mode))
	}
	if withLinux {
		h.ok(linux("linux") + " vcpus=2")
		h.attach("linux")
		h.shell()
		h.detach()
	}
	rounds, passes := h.tortureRounds(), 0
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(d, 10*time.Second))
		if n := h.tortureRounds(); n <= rounds {
			t.Fatalf("the hypervisor's load stands still at %d rounds", n)
		} else {
			rounds = n
		}
		if n := h.passes("mem"); n <= passes {
			t.Fatalf("the memory check stands still at pass %d", n)
		} else {
			passes = n
		}
		if withLinux {
			h.attach("linux")
			h.key("\r")
			if got := h.sh("grep -c ^processor /proc/cpuinfo"); got != "2" {
				t.Errorf("the guest has %q CPUs", got)
			}
			h.detach()
		}
	}
	for name, r := range h.list() {
		if guests[name] != "" && r.seconds == 0 {
			t.Errorf("%s did not run", name)
		}
	}
	for name := range guests {
		h.ok("destroy " + name)
	}
	if withLinux {
		h.ok("destroy linux")
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before", got, free)
	}
	text := h.Transcript()
	for _, bad := range []string{"FAIL", "torture: a ", "panic: ", "crashed"} {
		if strings.Contains(text, bad) {
			t.Errorf("the console says %q", bad)
		}
	}
	t.Logf("%d rounds of the hypervisor's load, %d passes of the memory check", rounds, passes)
	h.poweroff()
}

// tortureRounds is the progress of the hypervisor's load.
func (h *host) tortureRounds() uint64 {
	h.t.Helper()
	h.key("debug-keys m\r")
	n, err := strconv.ParseUint(h.seeRE(verbTime, `torture: (\d+) rounds`)[1], 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	h.see(verbTime, "\n"+prompt)
	return n
}

// passes is the number of the last pass that the memory check of a guest has
// made, without a wrong word.
func (h *host) passes(name string) (n int) {
	h.t.Helper()
	h.attach(name)
	h.seeRE(verbTime, `memcheck pass \d+, wrong words: 0`)
	h.detach()
	text := h.Transcript()
	at := strings.LastIndex(text, "memcheck pass ")
	if _, err := fmt.Sscanf(text[at:], "memcheck pass %d", &n); err != nil {
		h.t.Fatal(err)
	}
	return n
}
