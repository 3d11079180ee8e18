// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/tests/guests/micro/guest"
)

func TestRead(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	for _, bad := range []string{"FIGURE", "BACKEND", "BY"} {
		if _, err := read(env(bad, "no such")); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	for _, f := range []string{diskRead, interrupt, ping} {
		if _, err := read(env("FIGURE", f, "BACKEND", "vmx")); err == nil {
			t.Errorf("Bochs has what %s takes", f)
		}
	}
	if got, err := read(env("FIGURE", diskRead)); err != nil || got.figure != diskRead {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := read(env("FIGURE", "hypercall", "BACKEND", "vmx", "BY", "line"))
	if err != nil || got != (settings{figure: "hypercall", bochs: true, byLine: true}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := read(env()); err != nil || got != (settings{figure: "cpuid"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseExec(t *testing.T) {
	const line = "Trace 0: 0x7f3a6c0a5dc0 [00000000/0000000000101000/%s/ff021001] "
	for flags, want := range map[string]bool{"0040c0b0": false, "0060c0b0": true} {
		pc, guest, ok := parseExec(strings.Replace(line, "%s", flags, 1))
		if pc != 0x101000 || guest != want || !ok {
			t.Errorf("flags %s: %#x %v %v", flags, pc, guest, ok)
		}
	}
	for _, bad := range []string{"", "vmrun! 123", "Trace 0: 0x7f [00000000/zz/0040c0b0/ff021001]", "Trace 0: 0x7f [0/1/2]"} {
		if _, _, ok := parseExec(bad); ok {
			t.Errorf("%q is taken for an instruction", bad)
		}
	}
}

func TestParseTrace(t *testing.T) {
	for line, want := range map[string]place{
		"(0).[167650361] [0x0000001c9a0f] 0008:00000000001c9a0f (unk. ctxt): jz .+5  (0x001c9a16)      ; 7405":   {0x1c9a0f, false},
		"(0).[167650364] [0x00001fd01833] 0010:0000000100101833 (unk. ctxt): xchg bx, bx               ; 6687db": {0x100101833, true},
	} {
		pc, guest, op, ok := parseTrace(line)
		if (place{pc, guest}) != want || !ok || guest != strings.HasPrefix(op, marker) {
			t.Errorf("%q: %#x %v %q %v", line, pc, guest, op, ok)
		}
	}
	// The debugger also prints the next instruction whenever it stops.
	for _, bad := range []string{"(0) Magic breakpoint", "(0) [0x00001fd01836] 0010:0000000100101836 (unk. ctxt): mov eax, 0 ; b8"} {
		if _, _, _, ok := parseTrace(bad); ok {
			t.Errorf("%q is taken for an instruction", bad)
		}
	}
}

// Whole rounds count, and of those the shorter half.
func TestCounts(t *testing.T) {
	const at = windowBase + 7
	c := newCounts(symbols{}, at)
	if c.check() == nil {
		t.Error("an empty trace is no error")
	}
	c.add(windowBase+1, true) // before the first round
	for _, n := range []int{1, 5, 1} {
		c.add(at, true)
		for range n {
			c.add(windowBase+9, true)
		}
	}
	c.add(at, true)
	c.add(windowBase+9, true) // of a round that does not end
	var b bytes.Buffer
	if err := c.write(&b, settings{figure: "x"}); err != nil || c.check() != nil {
		t.Fatal(err)
	}
	want := "x: 2.0 instructions, the mean of the shorter half of 3 rounds; of all 3.3\n      2.0 100.0%  guest\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// What the tool waits for is what the guest prints, and the loop begins with the
// instruction that the debugger stops at.
func TestGuest(t *testing.T) {
	code := guest.Build().Code
	for _, s := range []string{"loop cpuid at ", "loop: no such figure", "\x66\x87\xdb"} {
		if !bytes.Contains(code, []byte(s)) {
			t.Errorf("the guest has no %q", s)
		}
	}
	if g := loop.FindStringSubmatch("micro: loop\nloop cpuid at 4295006259\n"); g == nil || g[1] != "4295006259" {
		t.Errorf("%q", g)
	}
	if g := loop.FindStringSubmatch("loop: no such figure"); g == nil || g[1] != "" {
		t.Errorf("%q", g)
	}
}

// Where the machine sleeps first, a round is from its HLT on, unless the timer ended that.
func TestCountsAsleep(t *testing.T) {
	const at, halt, timer = windowBase + 7, 100, 200
	c := newCounts(symbols{}, at)
	c.halt, c.timer = halt, timer
	run := func(pcs ...uint64) {
		for _, pc := range pcs {
			c.add(pc, pc > windowBase)
		}
	}
	const x = windowBase + 1
	run(x, at, x, x)             // it was awake
	run(halt, x, x, x, at, x)    // a round of three
	run(halt, timer, x, x, at)   // the timer's
	run(halt, x, halt, x, at, x) // of one
	var b bytes.Buffer
	if err := c.write(&b, settings{figure: "x"}); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := strings.Cut(b.String(), "\n"); got != "x: 1.0 instructions, the mean of the shorter half of 2 rounds; of all 2.0" {
		t.Error(got)
	}
}
