// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"testing"
	"time"

	"ringo/dom0/board"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// What a guest writes to the debug ports and the second serial port is in its log, and
// a write to the exit port, where there is one, ends it with a code.
func TestDebugPorts(t *testing.T) {
	done := make(chan [2]uint8, 1)
	r := newRig(t, func(c *hcalltest.CPU) {
		c.Out(0xe9, 'a')
		c.Out(0x402, 'b')
		c.Out(0x2f8, 'c')
		done <- [2]uint8{c.In(0xe9), c.In(0x402)}
		c.Out(0xf4, 42)
		c.WaitIRQ(0)
	})
	m, err := board.New(board.Config{CPUs: 1, Memory: 16 << 20, DebugExit: true})
	if err != nil {
		t.Fatal(err)
	}
	r.a.Machine = m
	r.start(t, r.a)
	if got := <-done; got != [2]uint8{0xe9, 0xe9} {
		t.Errorf("debug ports read %#x", got)
	}
	if got := string(r.pc.Log(r.a.ID)); got != "abc" {
		t.Errorf("log %q", got)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if in, err := r.hv.Info(r.a.ID); err == nil && in.Shutdown == abi.ShutdownPoweroff {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not end")
		}
	}
	if code, ok := r.pc.ExitCode(r.a.ID); !ok || code != 42 {
		t.Errorf("code %d, %v", code, ok)
	}
	r.pc.Detach(r.a.ID, false)
	if _, ok := r.pc.ExitCode(r.a.ID); ok || r.pc.Log(r.a.ID) != nil {
		t.Error("something is left")
	}
}
