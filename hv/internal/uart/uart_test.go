// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package uart

import (
	"bytes"
	"strings"
	"testing"
)

// wire is a 16550 whose transmitter takes 16 bytes and then stays busy until
// drain.
type wire struct {
	regs   [8]uint8
	div    uint16
	sent   bytes.Buffer
	inFIFO int
	busy   bool
	errors uint8 // of the line status, cleared by reading it
	absent bool
}

func (w *wire) In(off uint16) uint8 {
	if w.absent {
		return 0xff
	}
	switch off {
	case status:
		s := w.errors
		w.errors = 0
		if !w.busy {
			s |= txEmpty
		}
		return s
	}
	return w.regs[off]
}

func (w *wire) Out(off uint16, v uint8) {
	if w.regs[line]&dlab != 0 && off <= enable {
		w.div |= uint16(v) << (8 * off)
		return
	}
	if off == data {
		w.sent.WriteByte(v)
		w.inFIFO++
		if w.inFIFO == fifoSize {
			w.busy = true
		}
		return
	}
	w.regs[off] = v
}

// slow drains itself after some looks at the status; never if after is 0.
type slow struct {
	wire
	after, looks int
}

func (s *slow) In(off uint16) uint8 {
	if off == status && s.busy && s.after > 0 {
		if s.looks++; s.looks%s.after == 0 {
			s.drain()
		}
	}
	return s.wire.In(off)
}

func TestFlush(t *testing.T) {
	text := strings.Repeat("0123456789", 20)
	for _, after := range []int{1, 1000, patience / 2} {
		w := &slow{after: after}
		u, _ := Open(w, Line{115200, 8, 'n', 1})
		u.Write([]byte(text))
		u.Flush()
		if w.sent.String() != text {
			t.Errorf("after %d: sent %q", after, w.sent.String())
		}
	}
	w := &slow{} // stuck
	u, _ := Open(w, Line{115200, 8, 'n', 1})
	u.Write([]byte(text))
	u.Flush()
	if w.sent.Len() != fifoSize {
		t.Errorf("stuck: sent %q", w.sent.String())
	}
}

func (w *wire) drain() { w.inFIFO, w.busy = 0, false }

// Without a rate ("auto") the divisor stays as it is.
func TestAutoBaud(t *testing.T) {
	w := &wire{}
	if _, ok := Open(w, Line{0, 8, 'n', 1}); !ok || w.div != 0 || w.regs[line] != 3 {
		t.Errorf("open %v, divisor %d, LCR %#x; want true, none, 3", ok, w.div, w.regs[line])
	}
}

func TestWriteAndTransmit(t *testing.T) {
	w := &wire{}
	u, ok := Open(w, Line{9600, 8, 'n', 1})
	if !ok || w.div != 12 || w.regs[line] != 3 {
		t.Fatalf("open %v, divisor %d, LCR %#x; want true, 12, 3", ok, w.div, w.regs[line])
	}
	text := strings.Repeat("0123456789", 5)
	if n := u.Write([]byte(text)); n != 50 {
		t.Fatalf("took %d of 50", n)
	}
	if w.sent.Len() != 16 || w.regs[enable] != ierRx|ierTx {
		t.Fatalf("sent %d, IER %#x; want 16 and a transmitter interrupt", w.sent.Len(), w.regs[enable])
	}
	for range 4 {
		w.drain()
		w.errors = overrun
		u.Transmit()
	}
	if w.sent.String() != text || w.regs[enable] != ierRx {
		t.Errorf("sent %q, IER %#x", w.sent.String(), w.regs[enable])
	}
	if n := u.Overruns(); n != 3 { // nothing to send at the fourth: it did not look
		t.Errorf("%d overruns, want 3", n)
	}
}

// TestGone: a port whose device goes away takes everything and says nothing.
func TestGone(t *testing.T) {
	w := &wire{}
	u, _ := Open(w, Line{115200, 8, 'n', 1})
	w.absent = true
	if n := u.Write(make([]byte, ringSize)); n != ringSize {
		t.Errorf("took %d of %d", n, ringSize)
	}
	u.Transmit()
	u.Flush()
	if u.n != 0 || u.Overruns() != 0 {
		t.Errorf("%d bytes wait, %d overruns", u.n, u.Overruns())
	}
}

func TestFullRing(t *testing.T) {
	w := &wire{busy: true}
	u, _ := Open(w, Line{115200, 8, 'n', 1})
	if n := u.Write(make([]byte, ringSize+100)); n != ringSize {
		t.Errorf("took %d, want %d", n, ringSize)
	}
}

func TestAbsent(t *testing.T) {
	if _, ok := Open(&wire{absent: true}, Line{115200, 8, 'n', 1}); ok {
		t.Error("opened a port that is not there")
	}
}
