// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "testing"

func TestMagnitude(t *testing.T) {
	for cycles, want := range map[uint64]int{
		0: 0, 1: 0, 31: 0, 32: 1, 63: 1, 64: 2, 1<<31 - 1: 26, 1 << 31: 27, 1<<32 - 1: 27,
		1 << 32: 0, // it takes 32 bits, as the entry code does
	} {
		if got := Magnitude(cycles); got != want {
			t.Errorf("%d cycles: %d, want %d", cycles, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	var c, sum Cost
	if c.Quantile(990) != 0 {
		t.Error("of no exit")
	}
	for range 99 {
		c.Add(200)
	}
	if got := c.Quantile(990); got != 255 {
		t.Errorf("all cost 200, 99 %% cost at most %d", got)
	}
	for range 2 {
		c.Add(5000)
	}
	if got := c.Quantile(990); got != 8191 {
		t.Errorf("two of 101 cost 5000, 99 %% cost at most %d", got)
	}
	if got := c.Quantile(980); got != 255 {
		t.Errorf("98 %% cost at most %d", got)
	}
	c.AddTo(&sum)
	c.AddTo(&sum)
	if sum.Count != 202 || sum.Cycles != 2*(99*200+2*5000) || sum.Hist[3] != 198 || sum.Hist[8] != 4 {
		t.Errorf("%+v", sum)
	}
	// What is full stays so.
	c.Hist[3] = ^uint32(0)
	c.Add(200)
	if c.AddTo(&sum); c.Hist[3] != ^uint32(0) || sum.Hist[3] != ^uint32(0) {
		t.Errorf("%d, %d", c.Hist[3], sum.Hist[3])
	}
}

// Time during which others have the CPU is not the exit's.
func TestMeter(t *testing.T) {
	var m Meter
	const at = 0x10000
	if m.Start(at); m.Row != at+uint64(NumReasons)*128 {
		t.Errorf("row %#x", m.Row)
	}
	m.TSC = 1000
	if m.Exit(at, HLT); m.Row != at+uint64(HLT)*128 {
		t.Errorf("row %#x", m.Row)
	}
	m.Leave(1100)
	m.Return(9000)
	if m.TSC != 8900 {
		t.Errorf("an entry at 9050 would count %d cycles, want 150", 9050-m.TSC)
	}
}
