// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vhpet

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
)

// hz makes one count exactly 100 clocks, so that tests read in counts.
const hz = abi.HPETHz * 100

// machine records what happens to lines: "20+" is a rise of input 20, "L0-" a fall of
// the first legacy line.
type machine struct {
	*HPET
	now    uint64
	kicks  int
	events []string
	high   map[string]bool
	taken  bool
}

func newMachine() *machine {
	m := &machine{now: 1 << 40, high: map[string]bool{}}
	m.HPET = New(hz, m, m)
	return m
}

func (m *machine) Kick() { m.kicks++ }
func (m *machine) Pin(n uint32, level bool) {
	if Routes>>n&1 == 0 {
		panic("a pin that was not offered")
	}
	m.line(fmt.Sprint(n), level)
}
func (m *machine) Legacy(n int, level bool) { m.line(fmt.Sprint("L", n), level) }
func (m *machine) Replace(on bool)          { m.taken = on }

func (m *machine) line(name string, level bool) {
	if m.high[name] != level {
		m.high[name] = level
		m.events = append(m.events, name+map[bool]string{true: "+", false: "-"}[level])
	}
}

// took returns and forgets the events.
func (m *machine) took() string {
	s := strings.Join(m.events, " ")
	m.events = nil
	return s
}

func (m *machine) w(off, val uint64)      { m.Write(off, 8, val, m.now) }
func (m *machine) r(off uint64) uint64    { return m.Read(off, 8, m.now) }
func timerAt(i uint64) (conf, cmp uint64) { return 0x100 + 0x20*i, 0x108 + 0x20*i }

// pass lets counts go by, and calls Tick when it is due.
func (m *machine) pass(counts uint64) {
	end := m.now + 100*counts
	for {
		at, ok := m.Deadline()
		if !ok || at > end {
			m.now = end
			return
		}
		m.now = max(at, m.now)
		m.Tick(m.now)
	}
}

func TestCounter(t *testing.T) {
	m := newMachine()
	if got := m.r(0); uint32(got) != abi.HPETID || got>>32 != 69_841_279 {
		t.Errorf("capabilities %#x", got)
	}
	m.w(0xf0, 5)
	if m.pass(10); m.r(0xf0) != 5 {
		t.Error("counts while it stands")
	}
	m.w(0x10, confRun)
	m.w(0xf0, 77) // ignored
	m.pass(1000)
	if got := m.r(0xf0); got != 1005 {
		t.Errorf("counter %d", got)
	}
	if got := m.Read(0xf0, 8, m.now-1e6); got != 5 {
		t.Errorf("an access from before the start: %d", got)
	}
	m.w(0x10, 0)
	m.pass(10)
	m.Write(0xf4, 4, 3, m.now)
	if got := m.r(0xf0); got != 3<<32|1005 || m.Read(0xf4, 4, m.now) != 3 || m.Read(0xf0, 4, m.now) != 1005 {
		t.Errorf("counter %#x", got)
	}
	for _, size := range []uint8{1, 2} {
		if m.Write(0x10, size, 3, m.now); m.Read(0xf0, size, m.now) != 0 || m.r(0x10) != 0 || m.r(0xf4) != 0 {
			t.Error("narrow or unaligned accesses do something")
		}
	}
}

func TestOneShot(t *testing.T) {
	m := newMachine()
	conf, cmp1 := timerAt(1)
	m.w(conf, timerEnable|21<<timerRouteShift)
	m.w(cmp1, 100)
	m.w(0x10, confRun)
	if m.pass(99); m.took() != "" {
		t.Error("early")
	}
	if m.pass(1); m.took() != "21+ 21-" {
		t.Error("no interrupt")
	}
	if m.w(cmp1, 100); m.kicks != 1 {
		t.Errorf("%d kicks", m.kicks)
	}
	if m.pass(1e9); m.took() != "" {
		t.Error("one that has passed matches")
	}
	m.w(conf, timerEnable|timer32|21<<timerRouteShift) // the low half wraps every 2^32 counts
	m.pass(1 << 33)
	if got := m.took(); got != "21+ 21- 21+ 21-" {
		t.Errorf("32 bits: %q", got)
	}
	m.w(conf, timerEnable|3<<timerRouteShift)
	m.w(cmp1, m.r(0xf0)+5)
	if m.pass(10); m.took() != "" {
		t.Error("an input that is not offered")
	}
}

func TestLevel(t *testing.T) {
	m := newMachine()
	conf, cmp2 := timerAt(2)
	m.w(conf, timerLevel|timerEnable|20<<timerRouteShift)
	m.w(cmp2, 50)
	m.w(0x10, confRun)
	m.pass(60)
	if got := m.took(); got != "20+" || m.r(0x20) != 4 {
		t.Errorf("%q, status %d", got, m.r(0x20))
	}
	if m.w(0x20, 3); m.took() != "" {
		t.Error("the status of others ends it")
	}
	if m.w(0x20, 4); m.took() != "20-" || m.r(0x20) != 0 {
		t.Error("it does not end")
	}
	m.w(conf, timerLevel|20<<timerRouteShift) // polled
	m.w(cmp2, 100)
	if m.pass(60); m.took() != "" || m.r(0x20) != 4 {
		t.Error("polling")
	}
	if m.w(conf, timerLevel|timerEnable|22<<timerRouteShift); m.took() != "22+" {
		t.Error("enabled with its status set")
	}
	if m.w(conf, 0); m.took() != "22-" || m.r(0x20) != 0 {
		t.Error("edge-triggered from now on")
	}
}

func TestPeriodic(t *testing.T) {
	const gap = minGapNS * abi.HPETHz / 1_000_000_000
	m := newMachine()
	conf, cmp0 := timerAt(0)
	m.w(0x10, confRun|confLegacy)
	if !m.taken {
		t.Error("the legacy lines are not taken")
	}
	m.w(conf, timerEnable|timerPeriodic|timerSet|timer32)
	m.w(cmp0, 10_000)
	m.w(cmp0, 5_000)
	if m.r(conf)&timerSet != 0 {
		t.Error("the flag stays")
	}
	m.pass(10_000)
	if got := m.took(); got != "L0+" || m.r(cmp0) != 15_000 {
		t.Errorf("%q, next %d", got, m.r(cmp0))
	}
	m.pass(15_000)
	if got := m.took(); got != "L0- L0+ L0- L0+ L0- L0+" {
		t.Errorf("%q", got)
	}
	m.now += 100 * 1_000_000 // hv does not look
	m.Tick(m.now)
	if got := m.took(); got != "L0- L0+" || m.r(cmp0) != 1_030_000 {
		t.Errorf("missed ones: %q, next %d", got, m.r(cmp0))
	}
	m.w(cmp0, 1)
	m.took()
	m.pass(100 * gap)
	if n := len(m.events) / 2; n < 95 || n > 101 {
		t.Errorf("%d interrupts in the time of 100", n)
	}
	m.w(cmp0, 0)
	m.pass(100 * gap)
	m.took()
	if m.pass(1e9); m.took() != "" {
		t.Error("a period of 0")
	}
	m.w(0x10, confRun)
	if m.taken || m.high["L0"] {
		t.Error("the legacy lines are kept")
	}
}

func TestNoAllocations(t *testing.T) {
	m := newMachine()
	conf, cmp0 := timerAt(0)
	h := New(hz, quiet{}, m)
	now := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		h.Write(0x10, 8, 3, now)
		h.Write(conf, 4, timerEnable|timerPeriodic, now)
		h.Write(cmp0, 4, 100, now)
		now += 1e9
		h.Tick(now)
		h.Read(0xf0, 8, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type quiet struct{}

func (quiet) Pin(uint32, bool) {}
func (quiet) Legacy(int, bool) {}
func (quiet) Replace(bool)     {}

// FuzzClock is a hostile guest of the registers, on a clock that jumps: callbacks are
// bounded, deadlines are in the future, the counter does not go back while it runs, and
// what is driven agrees with status and configuration.
func FuzzClock(f *testing.F) {
	f.Add([]byte{2, 0x10, 3, 0, 2, 0x00, 0x4c, 0, 2, 0x08, 10, 0, 2, 0x08, 1, 0, 0, 0, 0xff, 0xff})
	f.Add([]byte{2, 0x10, 1, 0, 2, 0x20, 0x06, 0x28, 2, 0x28, 10, 0, 9, 0, 0xff, 0xff, 2, 0x84, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine()
		for n := 0; len(data) >= 4 && n < 100; n++ {
			op, v := data[0], uint64(binary.LittleEndian.Uint16(data[2:]))
			off := uint64(data[1])
			if op&0x40 == 0 {
				off += 0x100
			}
			if op&0x20 != 0 {
				off &= 0xf0 // the general registers, and those of a timer
			}
			switch op % 4 {
			case 0:
				m.now += min(v<<(op>>2), 1<<63-m.now)
				m.Tick(m.now)
			case 1:
				m.Read(off, 1<<(op>>2&3), m.now)
			case 2:
				m.Write(off&^7&^0x100|off&0x100, 8, v, m.now)
			case 3:
				m.Write(off, 1<<(op>>2&3), v<<16|v, m.now)
			}
			data = data[4:]
			m.loop(t, hz/100)
			for i := range m.timer {
				if c := &m.timer[i]; c.conf&timerLevel == 0 && m.status>>i&1 != 0 {
					t.Fatal("an edge has a status")
				}
			}
		}
	})
}

// loop lets m fire for d ticks of the TSC, as hv does.
func (m *machine) loop(t *testing.T, d uint64) {
	t.Helper()
	end, calls, before := min(m.now+d, 1<<63), uint64(0), m.counter(m.now)
	for {
		at, ok := m.Deadline()
		if !ok || at > end {
			break
		}
		if calls++; calls > Timers*(d/m.gap+3) {
			t.Fatalf("%d callbacks in a hundredth of a second", calls)
		}
		m.now = max(at, m.now)
		m.Tick(m.now)
		if at, ok := m.Deadline(); ok && at <= m.now {
			t.Fatalf("deadline %d after Tick at %d", at, m.now)
		}
	}
	m.now = end
	if now := m.counter(m.now); now < before {
		t.Fatalf("counter %d after %d", now, before)
	}
	m.events = m.events[:0]
}

// The inputs that are offered are those that are driven.
func TestRoutes(t *testing.T) {
	if d := cmp.Diff(uint64(Routes), newMachine().r(0x100)>>32); d != "" {
		t.Error(d)
	}
}
