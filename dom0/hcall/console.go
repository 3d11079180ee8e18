// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"fmt"
	"time"
)

// Console is the host console as a byte stream. One goroutine reads, any write.
type Console struct {
	c    *Client
	wake chan struct{}
}

// NewConsole returns the host console. Wake must be called for every event on
// abi.PortConsole.
func NewConsole(c *Client) *Console {
	return &Console{c: c, wake: make(chan struct{}, 1)}
}

// Wake tells a blocked Read that there is input. It does not block.
func (k *Console) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Lost is the error of a Read behind whose bytes input was lost. The stream goes
// on.
type Lost struct {
	N    uint64 // bytes, at least
	Line bool   // the last of them ended a line
}

// Error implements error.
func (e *Lost) Error() string { return fmt.Sprintf("%d bytes of input were lost", e.N) }

// Lost returns N and Line.
func (e *Lost) Lost() (n uint64, line bool) { return e.N, e.Line }

// Read blocks until there is input and returns what there is. Its error may be a
// *[Lost], with bytes that were read before.
func (k *Console) Read(p []byte) (int, error) {
	for {
		in, err := k.c.ConsoleRead(p)
		if n, line := in.Lost(); n > 0 {
			return in.Bytes(), &Lost{n, line}
		}
		if in != 0 || err != nil || len(p) == 0 {
			return in.Bytes(), err
		}
		<-k.wake
	}
}

// Write writes all of p; it waits while the hypervisor's device is full.
func (k *Console) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := k.c.ConsoleWrite(p[done:])
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
		if n == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
