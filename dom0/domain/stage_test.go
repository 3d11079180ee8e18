// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"strings"
	"testing"
	"time"

	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

func TestStage(t *testing.T) {
	r := newRig(t)
	id, err := r.Create(r.cfg("a", 16), true)
	if err != nil {
		t.Fatal(err)
	}
	in, err := r.Find("a")
	if err != nil {
		t.Fatal(err)
	}
	x := abi.VCPUContext{RIP: 0x1234, RFLAGS: 2, Online: 1}
	set := func(flags uint64) {
		x.RFLAGS = flags
		if err := r.HV.SetVCPU(id, 0, &x); err != nil {
			t.Fatal(err)
		}
	}
	r.SetTrace([]abi.TraceRecord{
		{TSC: 5, Domain: 1, Reason: 1, RIP: 0x1111, Info: 0x60 << 16}, {TSC: 7, Domain: 1, Reason: 1, RIP: 0x2222, Info: 0x3f8<<16 | 8},
		{TSC: 6, Domain: 1, VCPU: 1}, {TSC: 9, Domain: 2},
	})
	const nothing = "has printed nothing on its console (COM1) yet; "
	for _, c := range []struct {
		name    string
		is      Condition
		cpu     time.Duration
		exits   uint64
		out     uint64
		flags   uint64
		running bool
		want    string
	}{
		{"new", Paused, 0, 0, 0, 2, false, "has not run yet"},
		{"computes", Running, 5, 0, 0, 2, false, "has printed nothing and touched no device yet: it computes, as a kernel does that unpacks itself"},
		{"halted", Blocked, 5, 5, 0, 2, false, nothing + "halted with interrupts off at 0x1234: it has given up"},
		{"halted at once", Blocked, 5, 0, 0, 2, false, nothing + "halted with interrupts off at 0x1234: it has given up"},
		{"idle", Blocked, 5, 5, 0, 2 | 1<<9, false, nothing + "waits for an interrupt at 0x1234"},
		{"paused", Paused, 5, 5, 0, 2, false, nothing + "at 0x1234"},
		{"runs", Running, 5, 5, 0, 2, true, nothing + "last exit: port 0x3f8 at 0x2222"},
		{"prints", Running, 5, 5, 17, 2, false, "has printed 17 bytes on its console"},
		{"stopped", Shutdown, 5, 5, 0, 2, false, ""},
	} {
		set(c.flags)
		r.dev.output = c.out
		r.Fail = nil
		if c.running {
			r.Fail = func(nr abi.Call, _ int) abi.Status {
				if nr == abi.CallDomGetVCPU {
					return abi.Busy
				}
				return abi.OK
			}
		}
		in.Conditions, in.CPUTime, in.Exits = []Condition{c.is}, c.cpu, c.exits
		if got := r.Stage(&in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Of a domain that is watched and silent it is said why, of others nothing.
func TestWatch(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	r.Silence = time.Millisecond
	r.Guest = func(c *hcalltest.CPU) { c.WaitIRQ(0) }
	id, err := r.Create(r.cfg("a", 16), false)
	if err != nil {
		t.Fatal(err)
	}
	r.Watch(id)
	if n := r.await(1); !strings.HasPrefix(n[0], `domain "a" has not run yet`) {
		t.Errorf("%q", n)
	}
	r.dev.output = 1
	r.Watch(id)
	r.workers.Wait()
	if len(r.notes) != 1 {
		t.Errorf("%q", r.notes)
	}
}
