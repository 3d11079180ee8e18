// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync"

	"ringo/hv/bus"
	"ringo/hv/internal/vhpet"
)

// The HPET shares inputs of the I/O APIC with others, as PCI slots do: numShared from
// firstShared on. Others than vhpet offers do not compile.
const (
	firstShared = 20
	numShared   = 4

	_ = -uint(vhpet.Routes ^ (1<<numShared-1)<<firstShared)
)

// wires leads the HPET's interrupts to lines that other devices have as well.
type wires struct {
	shared [numShared]joint
	legacy [2]joint
}

func (w *wires) Pin(n uint32, level bool) { w.shared[n-firstShared].set(fromHPET, level) }
func (w *wires) Legacy(n int, level bool) { w.legacy[n].set(fromHPET, level) }

func (w *wires) Replace(on bool) {
	for i := range w.legacy {
		w.legacy[i].replace(on)
	}
}

// Inputs of a joint.
const (
	fromOther = 1 << 0
	fromHPET  = 1 << 1
)

// joint is a line that is high while one of its inputs is. As a bus.Line it is the input
// of the device that is not the HPET.
type joint struct {
	// mu comes after the devices' locks and before those of interrupt controllers.
	mu       sync.Mutex
	in       uint8
	replaced bool // the other device is not heard
	out      bus.Line
}

// or makes j lead to out, and returns it.
func (j *joint) or(out bus.Line) bus.Line {
	j.out = out
	return j
}

// Set is the other device's.
func (j *joint) Set(level bool) { j.set(fromOther, level) }

func (j *joint) set(input uint8, level bool) {
	j.mu.Lock()
	if level {
		j.in |= input
	} else {
		j.in &^= input
	}
	j.show()
	j.mu.Unlock()
}

func (j *joint) replace(on bool) {
	j.mu.Lock()
	j.replaced = on
	j.show()
	j.mu.Unlock()
}

func (j *joint) show() {
	in := j.in
	if j.replaced {
		in &^= fromOther
	}
	j.out.Set(in != 0)
}
