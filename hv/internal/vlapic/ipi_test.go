// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/bus"
)

// took describes what every CPU received since the last call: "0:41 2:nmi".
func (m *machine) took() string {
	var out []string
	for i, s := range m.sinks {
		for _, v := range m.pending(i) {
			out = append(out, fmt.Sprintf("%d:%x", i, v))
		}
		for range s.nmis {
			out = append(out, fmt.Sprintf("%d:nmi", i))
		}
		for range s.inits {
			out = append(out, fmt.Sprintf("%d:init", i))
		}
		for _, p := range s.startup {
			out = append(out, fmt.Sprintf("%d:sipi%x", i, p))
		}
		*s = sink{}
	}
	return strings.Join(out, " ")
}

func TestICRX2(t *testing.T) {
	m := newMachine(18)
	m.x2(t)
	for _, c := range []struct {
		icr  uint64
		want string
	}{
		{0x2_0000_4041, "2:41"},
		{0x0_0000_4041, "0:41"},
		{0x12_0000_4041, ""}, // CPU 18 does not exist
		{0xffff_fffe_0000_4041, ""},
		{0xff_0000_4041, ""}, // no broadcast in x2APIC mode
		{0x1_0000_8041, "1:41"},
		{0x3_0000_4400, "3:nmi"},
		{0x3_0000_4200, ""}, // SMI
		{0x3_0000_4741, ""}, // ExtINT
		{0x3_0000_4341, ""}, // reserved
		{0x3_0000_4500, "3:init"},
		{0x3_0000_c500, "3:init"},
		{0x3_0000_8500, ""}, // INIT level de-assert
		{0x3_0000_4609, "3:sipi9"},
		{0x0_0004_4041, "0:41"}, // self
		{0x0_0004_4400, ""},     // self NMI is not a valid combination
		{0x0_0008_4400, ""},
		{0x0000_0006_0000_4841, "1:41 2:41"}, // logical, cluster 0
		{0x0001_0003_0000_4841, "16:41 17:41"},
		{0x0001_0000_0000_4841, ""},
		{0x0002_0001_0000_4841, ""},
		{0x0000_0008_0000_4c00, "3:nmi"},
	} {
		if !m.CPU(0).WriteMSR(0x830, c.icr, m.now()) {
			t.Errorf("ICR %#x: #GP", c.icr)
		}
		if d := cmp.Diff(c.want, m.took()); d != "" {
			t.Errorf("ICR %#x: %s", c.icr, d)
		}
	}
	m.CPU(4).WriteMSR(0x830, 0x84041, m.now()) // all including self
	if got := strings.Fields(m.took()); len(got) != 18 {
		t.Errorf("all including self: %v", got)
	}
	m.CPU(4).WriteMSR(0x830, 0xc4400, m.now()) // NMI to all others
	if got := m.took(); strings.Count(got, "nmi") != 17 || strings.Contains(got, " 4:nmi") {
		t.Errorf("all but self: %v", got)
	}
	m.CPU(4).WriteMSR(0x830, 0xffff_ffff_0000_4041, m.now())
	if got := strings.Fields(m.took()); len(got) != 18 {
		t.Errorf("broadcast: %v", got)
	}
	if v, _ := m.CPU(4).ReadMSR(0x830, m.now()); v != 0xffff_ffff_0000_4041 {
		t.Errorf("ICR reads %#x", v)
	}
}

func TestICRX1(t *testing.T) {
	m := newMachine(4)
	m.x1()
	setup := func(dfr uint64, ldr ...uint64) {
		for i, v := range ldr {
			m.CPU(i).Write(0xe0, 4, dfr, m.now())
			m.CPU(i).Write(0xd0, 4, v<<24, m.now())
		}
	}
	setup(dfrFlat, 1, 2, 4, 8)
	for _, c := range []struct {
		flat      bool
		high, low uint64
		want      string
	}{
		{true, 2, 0x4041, "2:41"},
		{true, 9, 0x4041, ""},
		{true, 0xff, 0x4041, "0:41 1:41 2:41 3:41"},
		{true, 0x0a, 0x4841, "1:41 3:41"},
		{true, 0xff, 0x4841, "0:41 1:41 2:41 3:41"},
		{true, 0xf0, 0x4841, ""},
		{true, 0, 0xc4500, "1:init 2:init 3:init"},
		{true, 0, 0xc4608, "1:sipi8 2:sipi8 3:sipi8"},
		{false, 0x11, 0x4841, "0:41"},
		{false, 0x13, 0x4841, "0:41 1:41"},
		{false, 0x23, 0x4841, "2:41 3:41"},
		{false, 0xf1, 0x4841, "0:41 2:41"},
		{false, 0x31, 0x4841, ""},
	} {
		if !c.flat {
			setup(dfrCluster, 0x11, 0x12, 0x21, 0x22)
		}
		m.CPU(0).Write(0x310, 4, c.high<<24, m.now())
		m.CPU(0).Write(0x300, 4, c.low, m.now())
		if d := cmp.Diff(c.want, m.took()); d != "" {
			t.Errorf("flat=%v dest %#x ICR %#x: %s", c.flat, c.high, c.low, d)
		}
	}
	// A partition may mix modes while its CPUs come up.
	l := m.CPU(3)
	l.WriteMSR(0x1b, l.Base()|baseEXTD, m.now())
	m.CPU(0).Write(0x310, 4, 0xff<<24, m.now())
	m.CPU(0).Write(0x300, 4, 0x4041, m.now())
	if d := cmp.Diff("0:41 1:41 2:41 3:41", m.took()); d != "" {
		t.Error("broadcast to mixed modes:", d)
	}
}

func TestLowestPriorityTakesTurns(t *testing.T) {
	m := newMachine(4)
	m.x2(t)
	m.CPU(2).WriteMSR(0x80f, 0xff, m.now()) // does not take part
	hits := map[string]int{}
	for range 300 {
		if !m.Deliver(bus.Message{Dest: 0xf, Logical: true, Mode: bus.LowestPriority, Vector: 0x77}) {
			t.Fatal("nobody took it")
		}
		hits[m.took()]++
	}
	if hits["2:77"] != 0 || len(hits) != 3 || min(hits["0:77"], hits["1:77"], hits["3:77"]) < 50 {
		t.Errorf("distribution %v", hits)
	}
	for i := range 4 {
		m.CPU(i).WriteMSR(0x80f, 0xff, m.now())
	}
	if m.Deliver(bus.Message{Dest: bus.Broadcast, Mode: bus.LowestPriority, Vector: 0x77}) {
		t.Error("software-disabled CPUs took an interrupt")
	}
}

func TestKicks(t *testing.T) {
	m := newMachine(2)
	m.x2(t)
	for range 3 {
		m.Deliver(bus.Message{Dest: 1, Vector: 0x50})
		m.Deliver(bus.Message{Dest: 1, Vector: 0x51})
	}
	if m.sinks[1].kicks != 1 {
		t.Errorf("%d kicks before the owner looked, want 1", m.sinks[1].kicks)
	}
	m.CPU(1).Pending()
	m.Deliver(bus.Message{Dest: 1, Vector: 0x50})
	if m.sinks[1].kicks != 2 {
		t.Error("no kick after the owner looked")
	}
}

// TestConcurrentPosts has many CPUs post to one whose owner takes everything:
// no post without a later delivery of that vector.
func TestConcurrentPosts(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	const posters, rounds = 4, 20000
	done := make(chan bool)
	for p := range posters {
		go func() {
			l := m.CPU(0)
			for range rounds {
				l.SetIRR(uint8(0x20+p*0x30), p&1 != 0)
			}
			l.SetIRR(uint8(0x21+p*0x30), false) // the last word
			done <- true
		}()
	}
	last := map[uint8]bool{}
	for n := 0; n < posters; {
		select {
		case <-done:
			n++
		default:
		}
		for _, v := range m.pending(0) {
			last[v] = true
		}
	}
	for _, v := range m.pending(0) {
		last[v] = true
	}
	for p := range posters {
		if v := uint8(0x21 + p*0x30); !last[v] {
			t.Errorf("vector %#x lost", v)
		}
	}
	if l := m.CPU(0); l.irr.highest() != 0 {
		t.Errorf("IRR holds %#x that Pending does not see", l.irr.highest())
	}
}

// A local APIC is found by its ID, in either mode, whatever its place.
func TestNumber(t *testing.T) {
	m := newMachine(4)
	for i, id := range []uint32{3: 17, 2: 16, 1: 2, 0: 0} {
		m.Number(i, id)
	}
	send := func(icr uint64, want string) {
		t.Helper()
		if m.CPU(0).WriteMSR(0x830, icr, m.now()); m.took() != want {
			t.Errorf("ICR %#x does not reach %q", icr, want)
		}
	}
	m.x1()
	if m.Deliver(bus.Message{Dest: 1, Mode: bus.NMI}) || m.Deliver(bus.Message{Dest: 128, Mode: bus.NMI}) || !m.Deliver(bus.Message{Dest: 17, Mode: bus.NMI}) {
		t.Error("who takes a message")
	}
	if got := m.took(); got != "3:nmi" {
		t.Error(got)
	}
	m.x2(t)
	send(0x2_0000_4400, "1:nmi")
	send(0x1_0000_4400, "")
	send(0x10_0000_4400, "2:nmi")
	send(0xffff_fffe_0000_4400, "")
	send(0x0001_0003_0000_4c00, "2:nmi 3:nmi") // cluster 1
	send(0x0000_0004_0000_4c00, "1:nmi")
	if id, _ := m.CPU(3).ReadMSR(0x802, m.now()); id != 17 || m.CPU(3).ID() != 17 {
		t.Errorf("ID is %d", id)
	}
}
