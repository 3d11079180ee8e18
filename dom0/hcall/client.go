// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hcall is dom0's typed client of the hypervisor interface, package
// hv/abi. It knows how a call is made and how its operands travel; it knows no
// policy.
//
// dom0's Go heap has no fixed physical addresses, so structures and bytes
// travel through one page whose guest physical address is known, the bounce
// [Buffer]. Calls that need it are serialized by a lock; the calls of the
// device models ([Client.IOReqDone], [Client.SetIRQ], [Client.EventSend]) have
// scalar operands only: they take no lock and allocate nothing.
//
// Long operations are continued here: a method returns when the hypervisor has
// finished. Errors are of type [*Error] and wrap the [abi.Status], so that
// errors.Is(err, abi.NoMemory) works.
package hcall

import (
	"fmt"
	"runtime"
	"sync"

	"ringo/hv/abi"
)

// PageSize is the size in bytes of the bounce buffer and of a page of guest
// memory.
const PageSize = 4096

// Caller makes one hypercall. It must not allocate and must be safe for
// concurrent use.
type Caller interface {
	Call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64)
}

// Buffer is one page of dom0's memory that both sides see: Bytes is its PageSize
// bytes and GPA is their guest physical address, page aligned. The client owns
// it alone.
type Buffer interface {
	GPA() uint64
	Bytes() []byte
}

// Client makes hypercalls. It is safe for concurrent use.
type Client struct {
	caller Caller
	gpa    uint64 // of buf

	// mu guards buf. It is a leaf: no other lock is taken under it.
	mu  sync.Mutex
	buf []byte
}

// New returns a client that calls through c with bounce page b. It panics when b
// is not one whole, aligned page.
func New(c Caller, b Buffer) *Client {
	if len(b.Bytes()) != PageSize || b.GPA()%PageSize != 0 {
		panic("hcall: bounce buffer is not a page")
	}
	return &Client{caller: c, gpa: b.GPA(), buf: b.Bytes()}
}

// Error is a call that the hypervisor refused.
type Error struct {
	Call   abi.Call
	Status abi.Status
	What   string // what was tried: "create domain", "map memory of domain 3"
}

func (e *Error) Error() string { return e.What + ": " + e.Status.Error() }

// Unwrap returns the status.
func (e *Error) Unwrap() error { return e.Status }

// call makes a call with scalar operands.
func (c *Client) call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64) {
	return c.caller.Call(nr, a0, a1, a2, a3, a4)
}

// finish repeats a call until it is no longer Again, and calls progress, which
// may be nil, with the value of each unfinished step.
func (c *Client) finish(nr abi.Call, a [5]uint64, progress func(uint64)) (abi.Status, uint64) {
	for {
		st, v := c.call(nr, a[0], a[1], a[2], a[3], a[4])
		if st != abi.Again {
			return st, v
		}
		if progress != nil {
			progress(v)
		}
		runtime.Gosched()
	}
}

// fail makes the error of a call, nil for OK.
func fail(nr abi.Call, st abi.Status, format string, a ...any) error {
	if st == abi.OK {
		return nil
	}
	return &Error{Call: nr, Status: st, What: fmt.Sprintf(format, a...)}
}
