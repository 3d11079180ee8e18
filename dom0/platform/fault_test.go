// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"strings"
	"testing"
	"time"

	"ringo/dom0/devmodel/serial"
	"ringo/dom0/domain"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// broken is a device that panics, as one with a bug does.
type broken struct{ table []int }

func (b broken) Read(off uint64, _ uint8, _ uint64) uint64 { return uint64(b.table[off]) }
func (b broken) Write(uint64, uint8, uint64, uint64)       { panic("written") }

const brokenPort = 0x5000

// breakable claims the port and gives the domain the device.
func (r *rig) breakable(t *testing.T, a domain.Attachment, d broken) {
	t.Helper()
	if err := r.hv.Claim(a.ID, abi.SpacePort, brokenPort, 4, 0); err != nil {
		t.Fatal(err)
	}
	r.pc.guests[a.ID].models.Add(abi.SpacePort, brokenPort, 4, d)
}

func (r *rig) state(t *testing.T, id uint32) abi.DomainInfo {
	t.Helper()
	all, err := r.hv.Domains()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.ID == id {
			return d
		}
	}
	return abi.DomainInfo{}
}

// TestFault has a device model panic: its guest crashes, another is served as before,
// and what is left can be taken down.
func TestFault(t *testing.T) {
	r := newRig(t, func(c *hcalltest.CPU) {
		print(c, "1")
		if c.Name() == "a" {
			c.WaitIRQ(serial.GSI)
			c.In(brokenPort + 2)
		}
		echo(c)
	})
	a := r.start(t, r.a)
	output(t, a, 1)
	r.breakable(t, r.a, broken{})
	r.hv.Line(r.a.ID, serial.GSI).Set(true)
	for end := time.Now().Add(20 * time.Second); r.state(t, r.a.ID).Shutdown != abi.ShutdownCrash; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the guest did not crash")
		}
	}
	const want = "a device of it failed: internal error: runtime error: index out of range [2] with length 0, in ringo/dom0/platform.broken.Read, line "
	if s := r.pc.Fault(r.a.ID); !strings.HasPrefix(s, want) {
		t.Errorf("fault %q, want %q", s, want)
	}

	b := r.create(t, "b", 2)
	g := r.start(t, b)
	output(t, g, 3)
	g.Send([]byte("x"))
	if s := output(t, g, 4); s != "1b>x" {
		t.Errorf("the other guest: %q", s)
	}
	if s := r.pc.Fault(b.ID); s != "" {
		t.Errorf("the other guest's fault: %q", s)
	}
	r.pc.Detach(r.a.ID, false)
	if r.pc.Fault(r.a.ID) != "" {
		t.Error("a fault of nobody")
	}
}

// TestGuard is the same for what does not come by the thread of events.
func TestGuard(t *testing.T) {
	r := newRig(t, echo)
	output(t, r.start(t, r.a), 2)
	g := r.pc.guests[r.a.ID]
	func() {
		defer r.pc.guard(g)
		broken{}.Write(0, 0, 0, 0)
	}()
	if s := r.pc.Fault(r.a.ID); !strings.Contains(s, "internal error: written, in ringo/dom0/platform.broken.Write") ||
		r.state(t, r.a.ID).Shutdown != abi.ShutdownCrash {
		t.Errorf("fault %q, %+v", s, r.state(t, r.a.ID))
	}
	in := input{nil, r.pc, g} // a nil UART panics
	if n := in.Input([]byte("x")); n != 0 {
		t.Error(n)
	}
	r.pc.Detach(r.a.ID, false)
}

// TestBroken has the server of a queue panic: people are told, and the guest goes on.
func TestBroken(t *testing.T) {
	r := newRig(t, echo)
	output(t, r.start(t, r.a), 2)
	func() {
		defer func() { r.pc.broken(r.pc.guests[r.a.ID], recover()) }()
		broken{}.Write(0, 0, 0, 0)
	}()
	const want = `error: domain "a": a virtio device of it failed: internal error: written, in ringo/dom0/platform.broken.Write, line `
	if l := <-r.lines; !strings.HasPrefix(l, want) {
		t.Errorf("%q", l)
	}
	if s := r.pc.Fault(r.a.ID); s != "" || r.state(t, r.a.ID).Shutdown == abi.ShutdownCrash {
		t.Errorf("fault %q, %+v", s, r.state(t, r.a.ID))
	}
	r.pc.Detach(r.a.ID, false)
}
