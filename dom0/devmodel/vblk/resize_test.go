// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import "testing"

// A disk that has grown is as large as it was until the driver has been told and looks.
func TestResize(t *testing.T) {
	d := newDisk(t, 512)
	d.info.Blocks = 1000
	r := newRig(t, Config{Disk: d})
	r.start(0)
	d.info.Blocks = 2000
	if s := r.do(typeIn, 1000, dataAt, 512); s != statusIOErr {
		t.Errorf("status %d", s)
	}
	for len(r.told) > 0 {
		<-r.told
	}
	was := r.rd(21, 1)
	r.d.Changed()
	<-r.told
	if r.rd(21, 1) == was || r.rd(0x3000, 4) != 2000 {
		t.Errorf("generation %d, before %d; %d sectors", r.rd(21, 1), was, r.rd(0x3000, 4))
	}
	if s := r.do(typeIn, 1999, dataAt, 512); s != statusOK {
		t.Errorf("status %d", s)
	}
	r.reset()
	r.d.Changed() // nobody is told
	if len(r.told) != 0 {
		t.Error("an interrupt after a reset")
	}
}
