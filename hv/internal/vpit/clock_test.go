// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

import (
	"encoding/binary"
	"testing"

	"ringo/hv/abi"
)

// FuzzClock is a hostile guest of the timer chip, on a clock that jumps: callbacks
// are bounded, deadlines are in the future, and a chip without a count has none.
func FuzzClock(f *testing.F) {
	f.Add([]byte{3, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})             // mode 2, count 1
	f.Add([]byte{3, 0x36, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0x80}) // mode 3, a jump
	f.Add([]byte{3, 0x30, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, 255, 255, 255}) // mode 0
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine(hz)
		for n := 0; len(data) >= 4 && n < 100; n++ {
			op, v := data[0], uint64(data[1])
			jump := uint64(binary.LittleEndian.Uint16(data[2:])) << (op >> 3 * 2 & 63)
			data = data[4:]
			switch op % 8 {
			case 0, 1, 2, 3:
				m.io.Write(uint64(op%8), 1, v, m.now())
			case 4:
				m.io.Read(v, 1, m.now())
			case 5:
				m.p61.Write(0, 1, v, m.now())
			case 6, 7:
				*m.c += clock(min(jump, 1<<63-m.now()))
				m.Tick(m.now())
			}
			m.loop(t, hz/100)
		}
		m.Reset()
		if _, ok := m.Deadline(); ok {
			t.Fatal("an idle chip has a deadline")
		}
	})
}

// loop lets m fire for d ticks of the TSC, as hv does.
func (m *machine) loop(t *testing.T, d uint64) {
	t.Helper()
	end, calls := min(m.now()+d, 1<<63), uint64(0)
	for {
		at, ok := m.Deadline()
		if !ok || at > end {
			break
		}
		if calls++; calls > d/m.gap+2 {
			t.Fatalf("%d callbacks in %d us", calls, d/(abi.PITHz/1000))
		}
		*m.c = clock(max(at, m.now()))
		m.Tick(m.now())
		if at, ok := m.Deadline(); ok && at <= m.now() {
			t.Fatalf("deadline %d after Tick at %d", at, m.now())
		}
	}
	*m.c = clock(end)
}
