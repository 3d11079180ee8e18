// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"cmp"
	"os"
	"regexp"
	"strconv"
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// The list of fields in the assembly is that of fetching.
func TestReadFetching(t *testing.T) {
	text, err := os.ReadFile("ops_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	slots := map[string]slot{"CR0": sCR0, "CR4": sCR4, "RSP": sRSP, "RFLAGS": sRFLAGS, "CR3": sCR3, "Access": sAccess, "Base": sBase}
	fields := map[string]uint32{"CR0": uint32(guestCR0), "CR4": uint32(guestCR4), "RSP": uint32(guestRSP), "RFLAGS": uint32(guestRFLAGS),
		"CR3": uint32(guestCR3), "ESAccess": uint32(guestESAccess), "ESBase": uint32(guestESBase)}
	number := func(s string) int {
		n, err := strconv.Atoi(cmp.Or(s, "0"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	seen := uint64(0)
	for _, m := range regexp.MustCompile(`READ\(const_guest(\w+)\+?(\d*), const_s(\w+)\+?(\d*)\)`).FindAllStringSubmatch(string(text), -1) {
		s := slots[m[3]] + slot(number(m[4]))
		if got := fields[m[1]] + uint32(number(m[2])); got != fieldOf[s] {
			t.Errorf("%s: slot %d is field %#x, read is %#x", m[0], s, fieldOf[s], got)
		}
		seen |= 1 << s
	}
	if seen != fetching {
		t.Errorf("slots %#x are read, want %#x", seen, uint64(fetching))
	}
}

// The preemption timer gives an interrupt that was held back its moment. It ends the
// run, since what that has changed may be in a word that only the run loop reads. The
// next run, which begins with IF=1, goes without, those behind it do not; and none that
// begins with IF=0 does.
func TestPreemptionTimer(t *testing.T) {
	m, v := running(t)
	net := m.netTicks()
	for _, step := range []struct {
		what   string
		exit   fakeExit
		change func()
		reason vcpu.Reason
		before uint64 // the timer's value at the entry
	}{
		{"the timer", fakeExit{reason: reasonTimer, guest: flags(x86.FlagIF)}, nil, vcpu.Tick, net},
		{"an interrupt", fakeExit{reason: reasonInterrupt}, nil, vcpu.Tick, noNet},
		{"an instruction", cpuid, nil, vcpu.CPUID, noNet},
		{"another", cpuid, nil, vcpu.CPUID, net},
		{"an interrupt with IF=0", fakeExit{reason: reasonInterrupt, guest: flags(0)}, nil, vcpu.Tick, net},
		{"the timer with IF=0", fakeExit{reason: reasonTimer}, nil, vcpu.Tick, net},
		{"an interrupt with IF=1", fakeExit{reason: reasonInterrupt, guest: flags(x86.FlagIF)}, nil, vcpu.Tick, net},
		{"the timer with IF=1", fakeExit{reason: reasonTimer}, nil, vcpu.Tick, net},
		{"IF cleared by Set", cpuid, func() { v.Set(x86.RFLAGS, 0) }, vcpu.CPUID, net},
		{"an event that the timer cuts short", fakeExit{reason: reasonTimer, cut: true, guest: flags(x86.FlagIF)},
			func() { v.Inject(testGP) }, vcpu.Tick, net},
		{"and delivered again", cpuid, nil, vcpu.CPUID, noNet},
		{"at last", cpuid, nil, vcpu.CPUID, net},
	} {
		if step.change != nil {
			step.change()
		}
		e, before := step.exit, uint64(0)
		e.guest = func(p *testCPU, f map[uint32]uint64) {
			before = f[uint32(guestPreemptionTimer)]
			if step.exit.guest != nil {
				step.exit.guest(p, f)
			}
		}
		var x vcpu.Exit
		if n := run(v, 0, &x, e); n != 1 || x.Reason != step.reason || before != step.before {
			t.Errorf("%s: %d entries, timer %#x, want %#x; %+v", step.what, n, before, step.before, x)
		}
	}
}

// flags is a guest that changes RFLAGS.
func flags(f uint64) func(*testCPU, map[uint32]uint64) {
	return func(_ *testCPU, fields map[uint32]uint64) { fields[uint32(guestRFLAGS)] = f | x86.FlagReserved }
}
