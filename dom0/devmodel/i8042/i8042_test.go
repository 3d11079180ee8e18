// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package i8042

import "testing"

func TestController(t *testing.T) {
	resets := 0
	c := New(func() { resets++ })
	d, k := Data{c}, Control{c}
	ask := func(cmd uint64) uint64 {
		k.Write(0, 1, cmd, 0)
		if k.Read(0, 1, 0)&(statusFull|statusCommand) != statusFull|statusCommand {
			t.Errorf("command %#x: no answer, status %#x", cmd, k.Read(0, 1, 0))
		}
		v := d.Read(0, 1, 0)
		if k.Read(0, 1, 0)&statusFull != 0 {
			t.Errorf("command %#x: more than one byte", cmd)
		}
		return v & 0xff
	}
	if s := k.Read(0, 1, 0) & 0xff; s != statusUnlock|statusSystem {
		t.Errorf("status %#x after reset", s)
	}
	// As Linux probes it: the command byte, changed and read back; the self-test.
	k.Write(0, 1, cmdWriteByte, 0)
	d.Write(0, 1, 0x65, 0)
	if v := ask(cmdReadByte); v != 0x65 {
		t.Errorf("command byte %#x", v)
	}
	for cmd, want := range map[uint64]uint64{cmdSelfTest: 0x55, cmdTestKey: 1, cmdTestMouse: 1, cmdReadOutput: 3} {
		if v := ask(cmd); v != want {
			t.Errorf("command %#x: %#x, want %#x", cmd, v, want)
		}
	}
	d.Write(0, 1, 0xff, 0) // to the keyboard
	if k.Read(0, 1, 0)&(statusFull|statusCommand) != 0 || resets != 0 {
		t.Error("the keyboard answers")
	}
	for val, want := range map[uint64]int{0xfe: 1, 0xf0: 1, 0xff: 0, 0xf1: 0, 0xaa: 0} {
		resets = 0
		k.Write(0, 1, val, 0)
		if resets != want {
			t.Errorf("command %#x: %d resets", val, resets)
		}
	}
	resets = 0
	k.Write(0, 1, cmdWriteOutput, 0)
	d.Write(0, 1, lineReset, 0)
	if resets != 0 {
		t.Error("A20 resets")
	}
	k.Write(0, 1, cmdWriteOutput, 0)
	d.Write(0, 1, lineA20, 0)
	d.Write(0, 1, 0, 0) // no command any more
	if resets != 1 {
		t.Errorf("%d resets by the output port", resets)
	}
}
