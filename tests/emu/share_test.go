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

// TestShare has guests share one CPU, and compares what top says they get. It counts
// instructions, so that the host's load does not matter.
func TestShare(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{SMP: 1, MemMiB: 512, ICount: true})
	h.ok(micro("victim", "spin"))
	h.gets("alone", map[string][2]float64{"victim": {98, 100.1}, halted: {0, 2}})
	h.ok("sched-credit -d victim -c 25")
	h.gets("with a cap", map[string][2]float64{"victim": {24, 26}, halted: {70, 76}})
	h.ok("sched-credit -d victim -c 0")

	// One that computes for 2 ms and then reads a port which dom0 serves, for good,
	// has no more of the CPU than one that only computes.
	h.ok(micro("foe", "poll"))
	h.gets("with one that polls", map[string][2]float64{"victim": {45, 55}, "foe": {45, 55}})
	h.ok("destroy foe")

	h.ok(micro("big", "spin"))
	h.ok("sched-credit -d big -w 512")
	h.ok("sched-credit -d victim -w 256")
	s := h.gets("with weights of 1 to 2", map[string][2]float64{"victim": {31, 35}, "big": {63, 69}})
	if ratio := s["big"] / s["victim"]; ratio < 1.96 || ratio > 2.04 {
		t.Errorf("weights of 1 to 2 give 1 to %.3f", ratio)
	}
	h.poweroff()
}

// halted is the time in which CPUs are halted, as if a domain had it.
const halted = "(halted)"

// gets lets the guests run until they have used so much of the emulated CPU's time that
// a percent shows, and checks what they get of it against least and most, in
// percent. It returns that.
func (h *host) gets(when string, want map[string][2]float64) map[string]float64 {
	h.t.Helper()
	const enough = 2 // seconds
	first, _ := h.top()
	halts, began := h.idle()
	used := func() (sum float64) {
		now := h.list()
		for name := range want {
			if name != halted {
				sum += now[name].seconds - first[name]
			}
		}
		return sum
	}
	for start := time.Now(); used() < enough; time.Sleep(time.Second) { // not all the time for listing
		if time.Since(start) > guestTime {
			h.t.Fatalf("%s: %.1f s of CPU in %v", when, used(), guestTime)
		}
	}
	_, got := h.top()
	more, now := h.idle()
	got[halted] = 100 * (more - halts) / (now - began)
	for name, w := range want {
		if got[name] < w[0] || got[name] > w[1] {
			h.t.Errorf("%s: %s gets %.1f %%, of %v", when, name, got[name], got)
		}
	}
	h.t.Logf("%s: %v", when, got)
	return got
}

// idle is for how long CPUs have been halted, and for how long the machine has run, in
// seconds times CPUs.
func (h *host) idle() (halted, all float64) {
	h.t.Helper()
	line := h.info()["idle_seconds"]
	if _, err := fmt.Sscanf(line, "%f of %f ", &halted, &all); err != nil || halted > all {
		h.t.Fatalf("idle_seconds: %q, %v", line, err)
	}
	return halted, all
}

// top is what each domain has had so far, in seconds, and since the last top, in
// percent of a CPU.
func (h *host) top() (seconds, percent map[string]float64) {
	h.t.Helper()
	seconds, percent = map[string]float64{}, map[string]float64{}
	for i, line := range strings.Split(h.ok("top -1"), "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 4 {
			continue
		}
		var err, err2 error
		seconds[f[0]], err = strconv.ParseFloat(f[2], 64)
		percent[f[0]], err2 = strconv.ParseFloat(f[3], 64)
		if err != nil || err2 != nil {
			h.t.Fatalf("top: row %q", line)
		}
	}
	return seconds, percent
}
