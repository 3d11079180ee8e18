// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// small is the line that creates a domain of the least memory, which sleeps.
func small(name string) string {
	return fmt.Sprintf(`create name=%s kernel=boot:micro.elf cmdline="mode=hlt" memory=4MiB rng=false`, name)
}

// TestDensity: two hundred small domains at once, of which the last costs about what
// the first did; they and many that come and go return all memory.
func TestDensity(t *testing.T) {
	t.Parallel()
	const domains = 200
	h := bootMicro(t, emu.Config{SMP: 1, MemMiB: 4096, ICount: true})
	h.ok(small("first")) // what is made once and kept, is made now
	h.ok("destroy first")
	free, records := h.free(), h.records()
	var costs []uint64 // of the first three and the last three: one may have paid for a garbage collection
	for i := 1; i <= domains; i++ {
		line := small(fmt.Sprintf("d%d", i))
		if i <= 3 || i > domains-3 {
			costs = append(costs, h.cost(line))
		} else {
			h.ok(line)
		}
	}
	first, last := middle(costs[:3]), middle(costs[3:])
	t.Logf("%d instructions for each of the first and the last: %.2f times", costs, float64(last)/float64(first))
	if last > first*6/5 {
		t.Errorf("domain %d takes %d instructions, the first one %d", domains, last, first)
	}
	if n := len(h.list()); n != domains+1 {
		t.Errorf("%d domains in list", n)
	}
	for i := range domains {
		h.ok(fmt.Sprintf("destroy d%d", i+1))
	}
	h.same(free, records)
	cycles := 50
	if *long {
		cycles = 1000
	}
	for range cycles {
		h.ok(small("cycle"))
		h.ok("destroy cycle")
	}
	h.same(free, records)
	h.poweroff()
}

// middle is the one of three that is neither the least nor the most.
func middle(x []uint64) uint64 {
	s := slices.Sorted(slices.Values(x))
	return s[1]
}

// same checks that free memory and the account of records are as they were.
func (h *host) same(free uint64, records string) {
	h.t.Helper()
	if got := h.free(); got != free {
		h.t.Errorf("free memory %d, %d before", got, free)
	}
	if got := h.records(); got != records {
		h.t.Errorf("%s, before %s", got, records)
	}
}

// tsc is what the debug key t prints.
var tsc = regexp.MustCompile(`TSC (\d+) at \d+ Hz`)

// cost is how many instructions a line takes that creates a domain, on one CPU with
// -icount. The clock of an idle machine runs on at full speed, so the line must be there
// when it is wanted: what is typed arrives while the verbs before it print.
func (h *host) cost(line string) uint64 {
	h.t.Helper()
	h.key("help\rhelp\rhelp\rdebug-keys t\r" + line + "\rdebug-keys t\rdomid nobody\r")
	text := h.see(verbTime, `domain "nobody" does not exist`)
	h.see(verbTime, "\n"+prompt)
	before, after, ok := strings.Cut(text, `created "`)
	a, b := tsc.FindAllStringSubmatch(before, -1), tsc.FindStringSubmatch(after)
	if !ok || len(a) == 0 || b == nil {
		h.t.Fatalf("%s: %s", line, text)
	}
	from, err1 := strconv.ParseUint(a[len(a)-1][1], 10, 64)
	to, err2 := strconv.ParseUint(b[1], 10, 64)
	if err1 != nil || err2 != nil || to <= from {
		h.t.Fatalf("from %v to %v", a, b)
	}
	return to - from
}
