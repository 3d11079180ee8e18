// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"ringo/drivers/e1000/e1000test"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// rig is the driver on a device.
type rig struct {
	*nictest.Rig
	dev *e1000test.Device

	mu    sync.Mutex
	lines []string
}

func (r *rig) log(line string) {
	r.mu.Lock()
	r.lines = append(r.lines, line)
	r.mu.Unlock()
}

func (r *rig) said(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

func config(r *rig) Config {
	c := Config{Regs: r.dev, Arena: r.dev, Bind: r.dev.Bind, Present: r.dev.Present, Master: r.dev.Master, Stop: r.dev.Stop, Log: r.log}
	if r.dev.New {
		c.Model, c.Messages = I82574L, true
	}
	return c
}

func start(t *testing.T, newer bool, change func(*e1000test.Device)) *rig {
	t.Helper()
	r := &rig{dev: e1000test.New(newer), Rig: new(nictest.Rig)}
	r.dev.Sent, r.Receive = r.Rig.Sent, r.dev.Receive
	if change != nil {
		change(r.dev)
	}
	c, err := Start(config(r))
	if err != nil {
		t.Fatal(err)
	}
	r.Dev = c
	r.Start()
	t.Cleanup(func() {
		c.Close()
		if w := r.dev.Wrongs(); len(w) > 0 {
			t.Errorf("the driver does what it must not: %q", w[:min(len(w), 5)])
		}
		if r.dev.Receive(make([]byte, 60)) {
			t.Error("it writes memory after its end")
		}
	})
	return r
}

// both runs a test on both models.
func both(t *testing.T, f func(t *testing.T, newer bool)) {
	t.Run("82540EM", func(t *testing.T) { t.Parallel(); f(t, false) })
	t.Run("82574L", func(t *testing.T) { t.Parallel(); f(t, true) })
}

func TestFrames(t *testing.T) {
	both(t, func(t *testing.T, newer bool) {
		r := start(t, newer, nil)
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link() == nic.Link{Up: true, Mbps: 1000, Full: true} })
		r.Both(t, 20_000)
		if i := r.Dev.Info(); i.MAC != r.dev.MAC || i.MTU != 1500 || i.Segment != newer {
			t.Errorf("%+v", i)
		}
	})
}

// TestNoInterrupts: there are none, or they are lost; the address is in the EEPROM.
func TestNoInterrupts(t *testing.T) {
	both(t, func(t *testing.T, newer bool) {
		r := start(t, newer, func(d *e1000test.Device) { d.NoIRQ, d.NoAddress = true, true })
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		r.Both(t, 2000)
		if r.Dev.Info().MAC != r.dev.MAC || r.said("it is asked every millisecond") != 1 {
			t.Errorf("%v, %q", r.Dev.Info().MAC, r.lines)
		}
	})
	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		rnd := rand.New(rand.NewPCG(1, 1))
		r := start(t, true, func(d *e1000test.Device) { d.Silent = func() bool { return rnd.IntN(50) == 0 } })
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		r.Both(t, 2000)
	})
}

func TestLink(t *testing.T) {
	both(t, func(t *testing.T, newer bool) {
		r := start(t, newer, nil)
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		_, _, _, before := r.Counts()
		r.dev.SetLink(false)
		nictest.Eventually(t, "no link", func() bool { return !r.Dev.Link().Up })
		_, f := nictest.Random(rand.New(rand.NewPCG(1, 2)))
		if n := r.Dev.Send([]nic.Frame{f}); n != 1 || r.Dev.Counters().TxDropped != 1 {
			t.Errorf("took %d, %+v", n, r.Dev.Counters())
		}
		r.dev.SetLink(true)
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		nictest.Eventually(t, "to be told", func() bool { _, _, _, n := r.Counts(); return n >= before+2 })
		r.Both(t, 500)
	})
}

// TestPromiscuous: frames for other addresses come if they are wanted, also after a reset.
func TestPromiscuous(t *testing.T) {
	both(t, func(t *testing.T, newer bool) {
		r := start(t, newer, func(d *e1000test.Device) { d.Filter = true })
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		r.Addresses(t, false)
		r.Dev.Promiscuous(true)
		r.Addresses(t, true)
		r.dev.Hang()
		_, f := nictest.Random(rand.New(rand.NewPCG(1, 2)))
		r.Send(t, f)
		nictest.Eventually(t, "a reset", func() bool { return r.Dev.Counters().Resets == 1 })
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		r.Addresses(t, true)
		r.Dev.Promiscuous(false)
		r.Addresses(t, false)
	})
}

// TestOffloads has the 82574L compute checksums and cut segments.
func TestOffloads(t *testing.T) {
	r := start(t, true, nil)
	nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
	for _, v6 := range []bool{false, true} {
		for _, payload := range []int{1, 1000, 1460, 20_000, 59_000} {
			f, whole := tcpFrame(v6, payload)
			if payload > 1400 {
				f.Segment, f.Headers = 1400, uint16(len(whole)-payload)
			}
			r.Send(t, f)
			want := (payload + 1399) / 1400
			if f.Segment == 0 {
				want = 1
			}
			nictest.Eventually(t, "the segments", func() bool { _, _, n, _ := r.Counts(); return n >= want })
			rest := whole[len(whole)-payload:]
			for i, b := range r.Take() {
				head := len(whole) - payload
				if !right(b, v6) || string(b[head:]) != string(rest[:len(b)-head]) || binary.BigEndian.Uint32(b[f.SumStart+4:]) != uint32(1000+i*1400) {
					t.Fatalf("v6 %v, %d bytes, segment %d: %d bytes, sums right: %v", v6, payload, i, len(b), right(b, v6))
				}
				rest = rest[len(b)-head:]
			}
			if len(rest) != 0 {
				t.Errorf("v6 %v, %d bytes: %d are missing", v6, payload, len(rest))
			}
		}
	}
	// What cannot be: it is lost, and counted.
	f, _ := tcpFrame(false, 100)
	for _, change := range []func(*nic.Frame){
		func(f *nic.Frame) { f.SumStart = 3000 }, func(f *nic.Frame) { f.SumStart = 0 }, func(f *nic.Frame) { f.Segment, f.Headers = 100, 3 },
		func(f *nic.Frame) { f.Segment, f.Headers = 100, 4000 }, func(f *nic.Frame) { f.Pieces = [][]byte{make([]byte, 5)} },
		func(f *nic.Frame) { f.Pieces = [][]byte{make([]byte, 3000)} }, func(f *nic.Frame) { f.Pieces, f.Segment = [][]byte{make([]byte, 70_000)}, 1000 },
		func(f *nic.Frame) { f.Sum, f.Segment, f.Headers = false, 50, 54 },
	} {
		bad := f
		change(&bad)
		r.Send(t, bad)
	}
	if c := r.Dev.Counters(); c.TxErrors != 8 {
		t.Errorf("%+v", c)
	}
}

// tcpFrame is a frame of TCP whose checksum the card is to compute.
func tcpFrame(v6 bool, payload int) (nic.Frame, []byte) {
	b := make([]byte, 14)
	var pseudo uint32 = 6 + uint32(20+payload)
	if v6 {
		ip := make([]byte, 40)
		ip[0], ip[6], ip[7], ip[23], ip[39] = 0x60, 6, 64, 1, 2
		binary.BigEndian.PutUint16(ip[4:], uint16(20+payload))
		pseudo += 3
		b = append(b, ip...)
	} else {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9], ip[15], ip[19] = 0x45, 64, 6, 1, 2
		binary.BigEndian.PutUint16(ip[2:], uint16(40+payload))
		pseudo += 3
		v := ^add(ip)
		binary.BigEndian.PutUint16(ip[10:], v)
		b = append(b, ip...)
	}
	start := len(b)
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint32(tcp[4:], 1000)
	tcp[12], tcp[13] = 5<<4, 0x10
	for pseudo > 0xffff {
		pseudo = pseudo>>16 + pseudo&0xffff
	}
	binary.BigEndian.PutUint16(tcp[16:], uint16(pseudo))
	b = append(b, tcp...)
	for i := range payload {
		b = append(b, byte(i*7))
	}
	whole := append([]byte(nil), b...)
	return nic.Frame{Pieces: [][]byte{b}, Sum: true, SumStart: uint16(start), SumOffset: 16, V6: v6}, whole
}

func add(b []byte) uint16 {
	var v uint32
	for i := 0; i < len(b); i += 2 {
		v += uint32(b[i]) << 8
		if i+1 < len(b) {
			v += uint32(b[i+1])
		}
	}
	for v > 0xffff {
		v = v>>16 + v&0xffff
	}
	return uint16(v)
}

// right reports whether the sums and lengths of a frame are.
func right(b []byte, v6 bool) bool {
	ip := b[14:]
	src, tcp := ip[12:20], ip[20:]
	if v6 {
		src, tcp = ip[8:40], ip[40:]
		if int(binary.BigEndian.Uint16(ip[4:])) != len(tcp) {
			return false
		}
	} else if add(ip[:20]) != 0xffff || int(binary.BigEndian.Uint16(ip[2:])) != len(ip) {
		return false
	}
	pseudo := append(append([]byte(nil), src...), 0, 6, byte(len(tcp)>>8), byte(len(tcp)))
	return add(append(pseudo, tcp...)) == 0xffff
}

// TestFaults: devices that hang, lie, vanish or do not stop.
func TestFaults(t *testing.T) {
	both(t, func(t *testing.T, newer bool) {
		t.Run("hang", func(t *testing.T) {
			t.Parallel()
			r := start(t, newer, nil)
			nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
			r.dev.Hang()
			_, f := nictest.Random(rand.New(rand.NewPCG(1, 2)))
			r.Send(t, f)
			nictest.Eventually(t, "a reset", func() bool { return r.Dev.Counters().Resets == 1 })
			nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
			r.Take()
			r.Both(t, 500)
		})
		t.Run("vanish", func(t *testing.T) {
			t.Parallel()
			r := start(t, newer, nil)
			r.dev.Vanish()
			nictest.Eventually(t, "its end", func() bool { return errors.Is(r.Dev.Dead(), nic.ErrGone) })
			_, f := nictest.Random(rand.New(rand.NewPCG(1, 2)))
			if n := r.Dev.Send([]nic.Frame{f}); n != 1 || r.Dev.Link().Up || r.said("it is gone") != 1 || !r.dev.Stopped() {
				t.Errorf("%d, %v, %q, %v", n, r.Dev.Link(), r.lines, r.dev.Stopped())
			}
		})
		t.Run("lies about a length", func(t *testing.T) {
			t.Parallel()
			r := start(t, newer, func(d *e1000test.Device) {
				d.Written = func(_ uint16, status, errs uint8) (uint16, uint8, uint8) { return 2049, status, errs }
			})
			for i := range maxLies {
				r.Receive(make([]byte, 60))
				nictest.Eventually(t, "a reset, or the end", func() bool { return r.Dev.Counters().Resets == uint64(i+1) || r.Dev.Dead() != nil })
			}
			nictest.Eventually(t, "its end", func() bool { return errors.Is(r.Dev.Dead(), nic.ErrDevice) })
			if got, _, _, _ := r.Counts(); got != 0 || r.said("2049 bytes") != maxLies {
				t.Errorf("%d frames, %q", got, r.lines)
			}
		})
		t.Run("does not stop", func(t *testing.T) {
			t.Parallel()
			r := &rig{dev: e1000test.New(newer), Rig: new(nictest.Rig)}
			r.dev.Stick()
			if _, err := Start(config(r)); err == nil || !r.dev.Stopped() {
				t.Errorf("%v, stopped: %v", err, r.dev.Stopped())
			}
		})
	})
}

// maxLies is how many lies end a device: three resets, and one more.
const maxLies = 4

// TestErrors receives frames with errors, and checksums that are right, wrong, or not
// looked at.
func TestErrors(t *testing.T) {
	type written struct{ status, errs uint8 }
	var next written
	var mu sync.Mutex
	r := start(t, true, func(d *e1000test.Device) {
		d.Written = func(n uint16, _, _ uint8) (uint16, uint8, uint8) {
			mu.Lock()
			defer mu.Unlock()
			return n, next.status, next.errs
		}
	})
	for _, c := range []struct {
		written
		got, verified int
	}{
		{written{3, 0}, 1, 0},
		{written{3 | 1<<5, 0}, 1, 1},
		{written{3 | 1<<5 | 1<<6, 1 << 5}, 1, 0},
		{written{3 | 1<<5 | 1<<6, 1 << 6}, 1, 0},
		{written{3 | 1<<4, 0}, 1, 1},
		{written{3 | 1<<2 | 1<<5, 0}, 1, 0},
		{written{3, 1}, 0, 0},
		{written{3, 1 << 7}, 0, 0},
		{written{1, 0}, 0, 0}, // the beginning of one of two buffers
		{written{3, 0}, 0, 0}, // its end
		{written{3 | 1<<5, 0}, 1, 1},
	} {
		mu.Lock()
		next = c.written
		mu.Unlock()
		got, verified, _, _ := r.Counts()
		errs := r.Dev.Counters().RxErrors
		r.Receive(make([]byte, 60))
		nictest.Eventually(t, "the frame", func() bool {
			g, _, _, _ := r.Counts()
			return g == got+1 || r.Dev.Counters().RxErrors == errs+1
		})
		if g, v, _, _ := r.Counts(); g != got+c.got || v != verified+c.verified {
			t.Errorf("status %#x, errors %#x: %d frames, %d verified", c.status, c.errs, g-got, v-verified)
		}
	}
}

// FuzzHostile has a device write what it likes to the descriptors of what comes: nothing
// panics, no frame is longer than its buffer, and the device works on or is given up.
func FuzzHostile(f *testing.F) {
	f.Add([]byte{60, 0, 3, 0, 1, 9, 3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &rig{dev: e1000test.New(true), Rig: new(nictest.Rig)}
		var mu sync.Mutex
		r.dev.Written = func(n uint16, status, errs uint8) (uint16, uint8, uint8) {
			mu.Lock()
			defer mu.Unlock()
			if len(b) < 4 {
				return n, status, errs
			}
			n, status, errs = binary.LittleEndian.Uint16(b), b[2], b[3]
			b = b[4:]
			return n, status, errs
		}
		c, err := Start(config(r))
		if err != nil {
			t.Fatal(err)
		}
		r.Dev = c
		r.Start()
		for range min(len(b)/4, 600) {
			r.dev.Receive(make([]byte, 100))
		}
		c.Close()
		r.Rig.Frames(func(frame []byte) {
			if len(frame) > bufferLen {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
		})
	})
}
