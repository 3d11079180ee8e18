// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"testing"
	"time"

	"ringo/hv/abi"
)

// plugged makes a domain with two of four vCPUs, whose guest does at once what answer
// says: which of the vCPUs that it has it starts, and which of those that it is to give
// back it does.
func plugged(t *testing.T, answer func(start, back uint32) (uint32, uint32)) *rig {
	r := newRig(t)
	r.Patience = time.Second
	c := r.cfg("web", 16)
	c.VCPUs, c.MaxVCPUs = 2, 4
	id, err := r.Create(c, false)
	r.must(err)
	r.StartVCPUs(id, 0b11)
	trigger := func(what abi.Trigger, set uint32) {
		for i := range uint32(4) {
			if set>>i&1 != 0 {
				_, err := r.HV.Trigger(id, what, i)
				r.must(err)
			}
		}
	}
	r.dev.plug = func(_, want, running uint32) bool {
		in, err := r.HV.Info(id)
		r.must(err)
		if running != in.Started {
			t.Errorf("%#b run, the guest is told %#b", in.Started, running)
		}
		trigger(abi.TriggerPlug, in.Absent&want)
		start, back := answer(want, 0b1111&^in.Absent&^want)
		r.StartVCPUs(id, start)
		trigger(abi.TriggerUnplug, back)
		return true
	}
	return r
}

func willing(start, back uint32) (uint32, uint32) { return start, back }

func TestPlugVCPUs(t *testing.T) {
	r := plugged(t, willing)
	check := func(n, absent uint32) {
		t.Helper()
		in, err := r.Find("web")
		r.must(err)
		if in.VCPUs != n || in.MaxVCPUs != 4 || in.Absent != absent || in.Config.VCPUs != int(n) {
			t.Errorf("%d vCPUs of %d, absent %#b, %d configured; want %d, absent %#b", in.VCPUs, in.MaxVCPUs, in.Absent, in.Config.VCPUs, n, absent)
		}
	}
	check(2, 0b1100)
	if a := r.dev.attached[1]; a.VCPUs != 4 || a.Present != 0b11 || a.Machine.CPUs != 4 || a.Machine.Present != 0b11 {
		t.Errorf("attached with %d vCPUs, present %#b; machine %d, %#b", a.VCPUs, a.Present, a.Machine.CPUs, a.Machine.Present)
	}
	r.must(r.Resize("web", "vcpus", "4"))
	check(4, 0)
	r.must(r.Resize("web", "vcpus", "1"))
	check(1, 0b1110)
	r.must(r.Resize("web", "vcpus", "3"))
	check(3, 0b1000)
	if _, err := r.Trigger("web", abi.TriggerNMI, 3); text(err) != `vCPU 3 of domain "web" is absent: vcpu-set plugs it in` {
		t.Error(err)
	}
	// Another dom0 finds them as they are.
	r.dev.attached = map[uint32]Attachment{}
	r.Manager = r.manager()
	r.must(r.Adopt())
	if a := r.dev.attached[1]; a.Present != 0b111 {
		t.Errorf("adopted with %#b", a.Present)
	}
	check(3, 0b1000)
}

// A restart has the number that was set last, and may change it again.
func TestRestartKeepsVCPUs(t *testing.T) {
	r := plugged(t, willing)
	r.must(r.Resize("web", "vcpus", "4"))
	d := r.take(1, "web")
	r.must(r.restart(d))
	d.op.Unlock()
	in, err := r.Find("web")
	r.must(err)
	if a := r.dev.attached[in.ID]; in.VCPUs != 4 || a.Present != 0b1111 {
		t.Errorf("%d vCPUs, present %#b", in.VCPUs, a.Present)
	}
}

func TestPlugVCPUsFails(t *testing.T) {
	slow := func(start, back uint32) (uint32, uint32) { return start &^ 0b100, back &^ 0b10 }
	for _, c := range []struct {
		name    string
		answer  func(start, back uint32) (uint32, uint32)
		change  func(*rig)
		n, want string
	}{
		{"few", willing, nil, "0", "vcpus: 0 is out of range: use 1 to 4"},
		{"no number", willing, nil, "many", `vcpus: "many" is not a whole number`},
		{"many", willing, nil, "5", `domain "web" was made for 4 vCPUs: use 1 to 4, or give it max_vcpus=5 for its next start`},
		{"deaf", willing, func(r *rig) { r.dev.plug = nil }, "3",
			`domain "web" does not listen to ACPI's event for vCPUs: wait until it is up; a system without ACPI keeps those that it has`},
		{"paused", willing, func(r *rig) { r.must(r.Pause("web")) }, "3", `domain "web" is paused: unpause web first`},
		{"stopped", willing, func(r *rig) {
			r.must(r.HV.End(1, abi.ShutdownPoweroff))
		}, "3", `domain "web" has stopped: destroy web frees it`},
		{"not started", slow, nil, "4",
			`domain "web" has vCPU 2, but has not started it in 20ms: in a Linux without udev: echo 1 > /sys/devices/system/cpu/cpu2/online`},
		{"not given back", slow, nil, "1", `domain "web" was asked, but has not given back vCPU 1 in 20ms: look at vcpu-list web, and at its kernel's log`},
		{"refused", slow, func(r *rig) { r.dev.refused = 0b10 }, "1", `domain "web" does not give back vCPU 1: look at its kernel's log`},
	} {
		r := plugged(t, c.answer)
		r.Patience = 120 * time.Millisecond
		if c.change != nil {
			c.change(r)
		}
		if got := text(r.Resize("web", "vcpus", c.n)); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
	r := newRig(t)
	c := r.cfg("old", 16)
	c.VCPUs = 2
	_, err := r.Create(c, false)
	r.must(err)
	r.must(r.Resize("old", "vcpus", "2"))
	r.fails(r.Resize("old", "vcpus", "1"), `domain "old" was made without max_vcpus: its vCPUs stay: give it max_vcpus=2 for its next start`)
}
