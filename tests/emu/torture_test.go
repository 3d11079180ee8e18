// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// TestRuntimeTorture runs guests that check themselves while the runtimes of the
// hypervisor and of dom0 collect, allocate and grow stacks all the time, and
// vCPUs outnumber CPUs, so that all of them migrate. Nothing may change, nobody
// may stop, and the memory comes back.
func TestRuntimeTorture(t *testing.T) {
	t.Parallel()
	if !*long {
		torture(t, emu.Config{SMP: 2, MemMiB: 1024}, 20*time.Second, false)
		return
	}
	for _, c := range []emu.Config{
		parallel(2),
		parallel(4),
		{SMP: 4, MemMiB: 1024},
		{SMP: 1, MemMiB: 1024},
	} {
		t.Run(fmt.Sprintf("smp%d-%s", c.SMP, cmp.Or(c.Accel, emu.TCG)), func(t *testing.T) {
			torture(t, c, 3*time.Minute, false)
		})
	}
	t.Run("linux", func(t *testing.T) { torture(t, emu.Config{SMP: 2, MemMiB: 1024}, 3*time.Minute, true) })
}

// parallel is a machine with n CPUs that run guests at the same time.
func parallel(n int) emu.Config {
	return emu.Config{SMP: n + 1, MemMiB: 1024, Accel: emu.Parallel, HVArgs: "hv_cpus=1"}
}

// TestFlushes runs a hypervisor that checks each entry against a model of the
// TLB (build tag invariants): no emulator shows a flush that is missing. Guests
// come and go meanwhile, and more vCPUs than the CPU has tags move about.
func TestFlushes(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("needs -long")
	}
	hv := filepath.Join(t.TempDir(), "hv.img")
	if _, err := image.Bare(built.root, "./hv", hv, "invariants"); err != nil {
		t.Fatal(err)
	}
	h := bootMicro(t, emu.Config{HV: hv, SMP: 2, MemMiB: 2048, HVArgs: "noreboot dom0_max_vcpus=2"})
	h.ok(micro("first", "spin")) // what is made once and kept, is made now
	h.ok("destroy first")
	free := h.free()
	for i := range 18 {
		h.ok(micro(fmt.Sprintf("regs%d", i), "regs"))
	}
	for range 20 {
		h.ok(micro("short", "memcheck"))
		h.ok("destroy short")
	}
	for i := range 18 {
		h.ok(fmt.Sprintf("destroy regs%d", i))
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before", got, free)
	}
	if text := h.Transcript(); strings.Contains(text, "FAIL") || strings.Contains(text, "panic: ") {
		t.Error("something is wrong; see the log")
	}
	h.poweroff()
}

// torture runs for a time, with a Linux of two vCPUs if withLinux; then dom0 has
// no load, under which its console takes minutes for the text of a boot.
func torture(t *testing.T, c emu.Config, d time.Duration, withLinux bool) {
	option := "torture"
	if withLinux {
		option = "torture=on"
	}
	c.HVArgs += fmt.Sprintf(" %s noreboot dom0_max_vcpus=%d", option, min(c.SMP, 2))
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
		passes = h.passes("mem", passes)
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

// passes waits until the memory check of a guest has made more passes than that,
// without a wrong word, and returns how many.
func (h *host) passes(name string, more int) (n int) {
	h.t.Helper()
	h.attach(name) // shows the passes that are old, too
	for n <= more {
		m := h.seeRE(verbTime, `memcheck pass (\d+), wrong words: 0`)
		n, _ = strconv.Atoi(m[1])
	}
	h.detach()
	return n
}

// TestGuestDelay counts in instructions how long a guest that never exits by
// itself can be kept from running while the hypervisor collects garbage all the
// time on the same CPU: less than a tick of the scheduler (10 ms).
func TestGuestDelay(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{SMP: 1, MemMiB: 512, ICount: true, HVArgs: "torture=on noreboot"})
	mhz, err := strconv.ParseFloat(h.info()["cpu_mhz"], 64)
	if err != nil {
		t.Fatal(err)
	}
	tick := uint64(mhz * 10_000)
	rounds := h.tortureRounds()
	h.ok(micro("gap", "gap"))
	time.Sleep(25 * time.Second) // dom0 idles
	h.attach("gap")
	h.see(verbTime, "micro: gap")
	text := h.see(verbTime, "gap 30 longest") // printed before we came
	h.detach()
	var most uint64
	for line := range strings.Lines(text) {
		var n, ticks uint64
		if k, _ := fmt.Sscanf(line, "gap %d longest %d", &n, &ticks); k == 2 && n > 2 {
			most = max(most, ticks)
		}
	}
	after := h.tortureRounds()
	t.Logf("longest delay %d ticks of %v MHz; %d rounds of the hypervisor's load", most, mhz, after-rounds)
	if most == 0 || most > tick {
		t.Errorf("a guest was delayed by %d ticks, at most %d are allowed", most, tick)
	}
	if after < rounds+100 {
		t.Errorf("the load stands still: %d rounds, %d before", after, rounds)
	}
	h.poweroff()
}
