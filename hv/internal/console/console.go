// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package console shares the host console's input between dom0 and the
// hypervisor's debug keys: Ctrl-A three times in a row switches.
package console

import "sync"

const (
	ctrlA    = 1
	switches = 3
	size     = 4096
)

// Input queues what is typed for dom0, and hands debug keys to hv.
type Input struct {
	mu   sync.Mutex
	buf  [size]byte
	head int
	n    int
	run  int  // Ctrl-A seen in a row
	ours bool // input goes to the debug keys

	// Arrived is called when dom0's queue was empty and is not any more, Key
	// for each debug key, Switched when the input moved. They are called
	// without the lock.
	Arrived  func()
	Key      func(k byte)
	Switched func(toHV bool)
}

// Type takes bytes from the line. Bytes that find dom0's queue full are lost,
// as on a real terminal line.
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
	if in.n == size {
		return false, false, false
	}
	in.buf[(in.head+in.n)%size] = c
	in.n++
	return in.n == 1, false, false
}

// Read moves up to len(b) bytes of dom0's queue to b.
func (in *Input) Read(b []byte) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for n < len(b) && in.n > 0 {
		b[n] = in.buf[in.head]
		in.head = (in.head + 1) % size
		in.n--
		n++
	}
	return n
}
