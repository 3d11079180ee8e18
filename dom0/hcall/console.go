// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "time"

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

// Read blocks until there is input and returns what there is.
func (k *Console) Read(p []byte) (int, error) {
	for {
		if n, err := k.c.ConsoleRead(p); n > 0 || err != nil || len(p) == 0 {
			return n, err
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
