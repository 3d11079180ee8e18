// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package serial

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type sink struct{ b []byte }

func (s *sink) Put(b byte) { s.b = append(s.b, b) }

type line struct{ edges []bool }

func (l *line) Set(v bool) { l.edges = append(l.edges, v) }
func (l *line) level() bool {
	return len(l.edges) > 0 && l.edges[len(l.edges)-1]
}

// rig is a UART with byte-wide access.
type rig struct {
	*testing.T
	*UART
	s sink
	l line
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t}
	r.UART = New(&r.s, &r.l)
	return r
}

func (r *rig) out(reg uint64, v byte) { r.Write(reg, 1, uint64(v), 0) }
func (r *rig) in(reg uint64) byte     { return byte(r.Read(reg, 1, 0)) }
func (r *rig) want(reg uint64, mask, want byte) {
	r.Helper()
	if got := r.in(reg); got&mask != want {
		r.Errorf("register %d is %#02x, want %#02x under mask %#02x", reg, got, want, mask)
	}
}

// The questions that drivers ask to tell UARTs apart, with a 16550A's answers.
func TestIdentifiesAs16550A(t *testing.T) {
	r := newRig(t)
	// An interrupt enable register with exactly four bits.
	r.out(regIER, 0)
	r.want(regIER, 0xff, 0)
	r.out(regIER, 0xff)
	r.want(regIER, 0xff, 0x0f)
	r.out(regIER, 0)
	// Modem lines in loopback: OUT2 and RTS come back as DCD and CTS.
	r.out(regMCR, mcrLoop|mcrOut2|mcrRTS)
	r.want(regMSR, 0xf0, 0x90)
	r.out(regMCR, 0xe0)
	r.want(regMCR, 0xff, 0) // no automatic flow control, no divider
	// A FIFO of 16 (not 64) bytes.
	r.want(regIIR, 0xff, iirNone)
	r.out(regIIR, fcrEnable)
	r.want(regIIR, 0xff, iirFIFO|iirNone)
	r.out(regLCR, lcrDLAB)
	r.out(regIIR, fcrEnable|0x20)
	r.want(regIIR, 0xe0, iirFIFO)
	// No enhanced feature register behind LCR 0xbf, where it would read 0.
	r.out(regLCR, 0xbf)
	r.want(regIIR, 0xff, iirFIFO|iirNone)
	r.out(regLCR, 0)
	// A scratch register.
	for _, v := range []byte{0xa5, 0x5a} {
		r.out(regSCR, v)
		r.want(regSCR, 0xff, v)
	}
	// A divisor latch apart from data and enable.
	r.out(regLCR, lcrDLAB|3)
	r.out(regData, 0x34)
	r.out(regIER, 0x12)
	r.want(regData, 0xff, 0x34)
	r.want(regIER, 0xff, 0x12)
	r.out(regLCR, 3)
	r.want(regIER, 0xff, 0)
	if len(r.s.b) != 0 || len(r.l.edges) != 0 {
		t.Errorf("probing transmitted %q and interrupted %v", r.s.b, r.l.edges)
	}
}

// The test for a broken transmitter interrupt: enabling it with an empty
// transmitter must report it, each time it is enabled.
func TestTransmitterInterrupt(t *testing.T) {
	r := newRig(t)
	r.out(regMCR, mcrOut2)
	for range 2 {
		r.out(regIER, ierTransmit)
		if !r.l.level() {
			t.Fatal("no interrupt")
		}
		r.want(regIIR, 0x0f, iirTransmit)
		r.want(regIIR, 0x0f, iirNone) // reading was the acknowledgement
		if r.l.level() {
			t.Fatal("line still high")
		}
		r.out(regIER, ierTransmit) // no change, no report
		r.want(regIIR, 0x0f, iirNone)
		r.out(regIER, 0)
	}
	r.out(regIER, ierTransmit)
	r.in(regIIR)
	r.out(regData, 'x')
	r.want(regIIR, 0x0f, iirTransmit)
	r.out(regData, 'y')
	r.out(regIER, 0)
	if r.l.level() {
		t.Error("disabled, but line high")
	}
	r.want(regLSR, 0x60, 0x60)
	if string(r.s.b) != "xy" {
		t.Errorf("transmitted %q", r.s.b)
	}
}

func TestReceive(t *testing.T) {
	for _, c := range []struct {
		name  string
		fcr   byte
		input int
		iir   byte
	}{
		{"no fifo", 0, 1, iirReceive},
		{"trigger 1", 0x01, 1, iirFIFO | iirReceive},
		{"below trigger 14", 0xc1, 3, iirFIFO | iirTimeout},
		{"at trigger 14", 0xc1, 14, iirFIFO | iirReceive},
		{"more than the fifo", 0x81, 100, iirFIFO | iirReceive},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.out(regIIR, c.fcr)
			r.out(regMCR, mcrOut2|mcrRTS)
			r.out(regIER, ierReceive|ierError)
			var in, got []byte
			for i := range c.input {
				in = append(in, byte(i))
			}
			if n := r.Input(in); n != len(in) {
				t.Fatalf("took %d of %d", n, len(in))
			}
			r.want(regIIR, 0xff, c.iir)
			for r.in(regLSR)&lsrReady != 0 {
				if !r.l.level() {
					t.Fatal("data, but no interrupt")
				}
				got = append(got, r.in(regData))
			}
			if d := cmp.Diff(in, got); d != "" {
				t.Error(d)
			}
			if diff := cmp.Diff([]bool{true, false}, r.l.edges); diff != "" {
				t.Error("line:", diff)
			}
			r.want(regData, 0xff, 0)
		})
	}
}

// Bytes typed before the guest opens the port wait, and are not lost to the
// FIFO reset that opening does.
func TestFlowControl(t *testing.T) {
	r := newRig(t)
	r.out(regMCR, 0)
	big := make([]byte, QueueSize+10)
	big[0] = 'a'
	if n := r.Input(big); n != QueueSize {
		t.Fatalf("took %d", n)
	}
	r.out(regIIR, 0x07)
	r.want(regLSR, lsrReady, 0)
	r.in(regData)
	r.out(regMCR, mcrRTS|mcrDTR|mcrOut2)
	r.want(regLSR, lsrReady, lsrReady)
	if b := r.in(regData); b != 'a' {
		t.Errorf("first byte is %q", b)
	}
	for range QueueSize / 2 {
		r.in(regData)
	}
	select {
	case <-r.Room():
	default:
		t.Error("nobody was told of room")
	}
	r.out(regIIR, 0x07) // the reset drops what the FIFO holds, not the queue
	n := 0
	for r.in(regLSR)&lsrReady != 0 {
		r.in(regData)
		n++
	}
	if want := QueueSize - 1 - QueueSize/2 - fifoSize; n != want {
		t.Errorf("%d bytes after the reset, want %d", n, want)
	}
}

// A guest that knows of no modem lines is not kept waiting for one; who has asserted one,
// or sets nothing but those of loopback, is.
func TestNoFlowControl(t *testing.T) {
	for _, c := range []struct {
		mcr  []byte
		want byte
	}{
		{nil, lsrReady},
		{[]byte{0}, 0},
		{[]byte{mcrOut2}, lsrReady},
		{[]byte{mcrLoop | mcrOut2 | mcrRTS, 0}, 0}, // Linux, as it looks for the port
		{[]byte{mcrLoop | mcrOut2 | mcrRTS, mcrOut2}, lsrReady},
		{[]byte{mcrDTR, mcrDTR | mcrOut2}, 0}, // and as it opens that of its console
		{[]byte{mcrDTR | mcrRTS | mcrOut2, mcrDTR | mcrOut2}, 0},
		{[]byte{mcrDTR | mcrRTS, 0, mcrOut2}, 0},
	} {
		r := newRig(t)
		for _, v := range c.mcr {
			r.out(regMCR, v)
		}
		r.Input([]byte("a"))
		if got := r.in(regLSR) & lsrReady; got != c.want {
			t.Errorf("MCR % x: %#x, want %#x", c.mcr, got, c.want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for _, fifo := range []byte{0, fcrEnable} {
		r := newRig(t)
		r.out(regIIR, fifo)
		r.out(regMCR, mcrLoop|mcrOut2)
		r.out(regIER, ierReceive|ierError)
		r.Input([]byte("host"))
		depth := 1
		if fifo != 0 {
			depth = fifoSize
		}
		for i := range depth {
			r.out(regData, byte(i))
		}
		r.want(regLSR, lsrReady|lsrOverrun, lsrReady)
		r.out(regData, 99)
		r.want(regIIR, 0x0f, iirError)
		r.want(regLSR, lsrOverrun, lsrOverrun)
		r.want(regLSR, lsrOverrun, 0)
		first := byte(0)
		if fifo == 0 {
			first = 99 // the new byte replaces the old
		}
		r.want(regData, 0xff, first)
		if len(r.s.b) != 0 || len(r.l.edges) != 0 {
			t.Error("loopback reached the outside")
		}
		r.out(regIIR, fcrEnable|fcrClearRx)
		r.out(regMCR, mcrRTS)
		r.want(regData, 0xff, 'h')
	}
}

func TestModemDeltas(t *testing.T) {
	r := newRig(t)
	r.out(regMCR, mcrLoop)
	r.want(regMSR, 0xff, 0x0b) // CTS, DSR and DCD fell
	r.want(regMSR, 0xff, 0)
	r.out(regMCR, mcrLoop|mcrOut1)
	r.want(regMSR, 0xff, msrRI)
	r.out(regIER, ierModem)
	r.out(regMCR, mcrLoop)
	r.want(regIIR, 0x0f, iirModem)
	r.want(regMSR, 0xff, msrTERI)
	r.want(regIIR, 0x0f, iirNone)
}

func TestWideAccess(t *testing.T) {
	r := newRig(t)
	r.Write(regMSR, 2, 0x4200, 0) // MSR is read only, SCR takes 0x42
	if got := r.Read(regSCR, 4, 0); got != 0xffffff42 {
		t.Errorf("read %#x", got)
	}
	r.Write(100, 8, ^uint64(0), 0)
	if got := r.Read(^uint64(0)-3, 8, 0); got&0xffffffff != 0xffffffff {
		t.Errorf("read %#x past the registers", got)
	}
}

type nowhere struct{}

func (nowhere) Put(byte) {}
func (nowhere) Set(bool) {}

func TestAllocations(t *testing.T) {
	u := New(nowhere{}, nowhere{})
	u.Write(regMCR, 1, mcrOut2|mcrRTS, 0)
	u.Write(regIER, 1, ierMask, 0)
	in := []byte("x")
	if n := testing.AllocsPerRun(100, func() {
		u.Write(regData, 1, 'x', 0)
		u.Read(regLSR, 1, 0)
		u.Read(regIIR, 1, 0)
		u.Input(in)
		u.Read(regData, 1, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTransmit(b *testing.B) {
	u := New(nowhere{}, nowhere{})
	for b.Loop() {
		u.Read(regLSR, 1, 0)
		u.Write(regData, 1, 'x', 0)
	}
}

// FuzzAccess makes arbitrary accesses and checks what must always hold: the line
// is high exactly when an enabled cause is reported and the gate is open, and only
// real edges are signalled.
func FuzzAccess(f *testing.F) {
	for seed := range int64(4) {
		b := make([]byte, 400)
		rand.New(rand.NewSource(seed)).Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newRig(t)
		for i := 0; i+2 < len(ops); i += 3 {
			op, off, v := ops[i], uint64(ops[i+1]&0x0f), ops[i+2]
			switch op & 3 {
			case 0:
				r.Read(off, 1<<(op>>2&3), 0)
			case 1:
				r.Write(off, 1<<(op>>2&3), uint64(v)*0x0101010101010101, 0)
			case 2:
				r.out(off&7, v)
			case 3:
				r.Input(ops[i : i+3])
			}
			open := r.mcr&(mcrOut2|mcrLoop) == mcrOut2
			if r.l.level() != (open && r.cause() != iirNone) {
				t.Fatalf("line %v, gate %v, cause %#x", r.l.level(), open, r.cause())
			}
			if r.fifo.n > r.depth() || r.fifo.n < 0 || r.queue.n > QueueSize {
				t.Fatalf("fifo %d, queue %d", r.fifo.n, r.queue.n)
			}
		}
		for i := 1; i < len(r.l.edges); i++ {
			if r.l.edges[i] == r.l.edges[i-1] {
				t.Fatal("a level was set twice: ", fmt.Sprint(r.l.edges))
			}
		}
	})
}

// A break is a zero with a bit of the line status, that interrupts, before the key.
func TestBreak(t *testing.T) {
	l := new(line)
	u := New(new(sink), l)
	if u.Break('h') {
		t.Error("a guest that has not opened the port takes a break")
	}
	u.Write(4, 1, 0x0b, 0) // DTR, RTS, OUT2
	u.Write(1, 1, 0x05, 0) // receive, line status
	u.Write(2, 1, 0x01, 0) // FIFOs
	if !u.Break('h') || len(l.edges) != 1 || !l.edges[0] {
		t.Fatal("no break")
	}
	if u.Break('s') {
		t.Error("another break before the first was read")
	}
	for i, want := range [][2]uint64{{0x71, 0}, {0x61, 'h'}} {
		if lsr := u.Read(5, 1, 0); lsr != want[0] {
			t.Errorf("%d: status %#x", i, lsr)
		}
		if b := u.Read(0, 1, 0); b != want[1] {
			t.Errorf("%d: %#x", i, b)
		}
	}
	if u.Read(5, 1, 0) != 0x60 || len(l.edges) != 2 || l.edges[1] {
		t.Error("something is left")
	}
}
