// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package console shares the host console's input between dom0 and the
// hypervisor's debug keys: Ctrl-A three times in a row switches. Input that finds
// dom0's queue full is lost, as on a real terminal line, but dom0 is told where:
// it must not run what is left of a line.
package console

import "sync"

const (
	ctrlA    = 1
	switches = 3
	size     = 16 << 10 // 1.4 s at 115200 baud
)

// Input queues what is typed for dom0, and hands debug keys to hv.
type Input struct {
	mu   sync.Mutex
	buf  [size]byte
	head int
	n    int
	run  int  // Ctrl-A seen in a row
	ours bool // input goes to the debug keys

	// lost is how many bytes are missing behind those in buf, and line whether
	// the last of them ended a line. Nothing is queued while it is not 0.
	lost uint64
	line bool

	// Arrived is called when there is something for dom0 and was nothing
	// before, Key for each debug key, Switched when the input moved. They are
	// called without the lock.
	Arrived  func()
	Key      func(k byte)
	Switched func(toHV bool)
}

// Type takes bytes from the line.
func (in *Input) Type(b []byte) {
	for _, c := range b {
		arrived, key, switched := in.one(c)
		switch {
		case switched:
			in.Switched(in.ours)
		case key:
			in.Key(c)
		case arrived:
			in.Arrived()
		}
	}
}

// Overrun says that the line itself lost bytes, n at least, behind those typed.
func (in *Input) Overrun(n uint64) {
	in.mu.Lock()
	arrived := !in.ours && in.n == 0 && in.lost == 0
	if !in.ours {
		in.lost, in.line = in.lost+n, false
	}
	in.run = 0
	in.mu.Unlock()
	if arrived {
		in.Arrived()
	}
}

func (in *Input) one(c byte) (arrived, key, switched bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if c != ctrlA {
		in.run = 0
	} else if in.run++; in.run == switches {
		in.run = 0
		in.ours = !in.ours
		// dom0 has the first two already: take back what it has not read.
		for i := 0; i < switches-1 && in.ours && in.n > 0 && in.buf[(in.head+in.n-1)%size] == ctrlA; i++ {
			in.n--
		}
		return false, false, true
	}
	if in.ours {
		return false, c != ctrlA, false
	}
	if in.n == size || in.lost > 0 {
		in.lost++
		in.line = c == '\r' || c == '\n'
		return false, false, false
	}
	in.buf[(in.head+in.n)%size] = c
	in.n++
	return in.n == 1, false, false
}

// Read moves up to len(b) bytes of dom0's queue to b. lost is how many bytes are
// missing behind those, at least, and line whether the last of them ended a
// line; it is told once, with the last bytes before.
func (in *Input) Read(b []byte) (n int, lost uint64, line bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for n < len(b) && in.n > 0 {
		b[n] = in.buf[in.head]
		in.head = (in.head + 1) % size
		in.n--
		n++
	}
	if in.n == 0 {
		lost, line = in.lost, in.line
		in.lost, in.line = 0, false
	}
	return n, lost, line
}
