// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpm

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"ringo/hv/abi"
)

// FuzzClock is a hostile guest of the registers, on a clock that jumps as far as
// any goes: the timer shows the time that has passed, whatever is written, and the
// interrupt line is never high for what is not enabled.
func FuzzClock(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 255, 255, 63, 2, 0, 0, 0})
	f.Add([]byte{1, 255, 255, 0, 1, 255, 255, 63, 0x22, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		const hz = 3_000_000_000
		now := uint64(1 << 40)
		m := newMachineAt(hz, now)
		start := now
		for n := 0; len(data) >= 4 && n < 100; n++ {
			op, v := data[0], uint64(binary.LittleEndian.Uint16(data[1:]))
			switch off := uint64(data[3]) % Size; op % 3 {
			case 0:
				m.ports.Read(off, 1<<(op>>2&3), now)
			case 1:
				now += min(v<<(data[3]&63), 1<<63-now)
			case 2:
				m.ports.Write(off, 1<<(op>>2%3), v, now)
			}
			data = data[4:]
			// Counts since the start, as they must be.
			hi, lo := bits.Mul64(now-start, abi.PMTimerHz)
			q, _ := bits.Div64(hi, lo, hz)
			got, want := uint32(m.timer.Read(0, 4, now)), uint32(q)
			if d := int32(got - want); d < -1 || d > 1 {
				t.Fatalf("timer %d, %d counts have passed", got, want)
			}
			if m.pm.status&m.pm.enable == 0 && m.line.level {
				t.Fatal("interrupt without a cause")
			}
		}
	})
}

// clocked is a block with its devices.
type clocked struct {
	pm    *PM
	ports interface {
		Read(off uint64, size uint8, now uint64) uint64
		Write(off uint64, size uint8, val, now uint64)
	}
	timer interface {
		Read(off uint64, size uint8, now uint64) uint64
	}
	line *level
}

type level struct{ level bool }

func (l *level) Set(on bool) { l.level = on }

type silent struct{}

func (silent) PowerOff() {}
func (silent) Reset()    {}

func newMachineAt(hz, now uint64) clocked {
	l := new(level)
	p := New(hz, now, l, silent{})
	return clocked{p, p.Ports(), p.Timer(), l}
}
