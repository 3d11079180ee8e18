// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

// Kinds of descriptors. 0, 1 and 2 are the console.
const (
	fdFree = iota
	fdConsole
	fdEventfd
	fdEpoll
	fdIRQ
)

const maxFD = 64

// fd is an open descriptor. All fields are under klock.
type fd struct {
	kind   uint64
	count  uint64 // eventfd
	vector uint64 // fdIRQ
	// The epoll set: there is one, of the runtime's poller.
	watched uint64
	level   uint64 // 1: level-triggered
	data    uint64 // of epoll_ctl
}

var fds [maxFD]fd

//go:nosplit
func fdAt(i uint64) *fd {
	if i >= maxFD {
		return nil
	}
	return (*fd)(ptr(addr(unsafe.Pointer(&fds)) + i*uint64(unsafe.Sizeof(fd{}))))
}

//go:nosplit
func fdInit() {
	for i := uint64(0); i < 3; i++ {
		fdAt(i).kind = fdConsole
	}
}

// fdNew returns a new descriptor, or neg(eMFILE). Preconditions: klock.
//
//go:nosplit
func fdNew(kind uint64) uint64 {
	for i := uint64(3); i < maxFD; i++ {
		if f := fdAt(i); f.kind == fdFree {
			*f = fd{kind: kind}
			return i
		}
	}
	return neg(eMFILE)
}

//go:nosplit
func sysClose(c *cpu, t *thread) uint64 {
	klock.lock()
	f := fdAt(t.f.rdi)
	if f == nil || f.kind == fdFree {
		klock.unlock()
		return neg(eBADF)
	}
	if f.kind == fdIRQ {
		irqAt(f.vector).fd = 0
	}
	*f = fd{}
	klock.unlock()
	return 0
}

//go:nosplit
func sysRead(c *cpu, t *thread) uint64 {
	if t.f.rdi < 3 {
		return 0 // no input: end of file
	}
	klock.lock()
	f := fdAt(t.f.rdi)
	v := uint64(0)
	ok := f != nil && (f.kind == fdEventfd || f.kind == fdIRQ) && t.f.rdx >= 8
	if ok && f.kind == fdEventfd {
		v, f.count = f.count, 0
	} else if ok {
		q := irqAt(f.vector)
		v = q.count - q.seen
		q.seen = q.count
	}
	klock.unlock()
	switch {
	case !ok:
		return neg(eBADF)
	case v == 0:
		return neg(eAGAIN)
	case !userStore64(t.f.rsi, v):
		return neg(eFAULT)
	}
	return 8
}

//go:nosplit
func sysWrite(c *cpu, t *thread) uint64 {
	f := fdAt(t.f.rdi)
	if f == nil {
		return neg(eBADF)
	}
	switch f.kind {
	case fdConsole:
		return consoleWrite(c, t)
	case fdEventfd:
		v, ok := userLoad64(t.f.rsi)
		if t.f.rdx < 8 || !ok {
			return neg(eINVAL)
		}
		klock.lock()
		f.count += v
		epollNotify(t.f.rdi)
		klock.unlock()
		return 8
	}
	return neg(eBADF)
}

const (
	fGetFD = 1
	fSetFD = 2
	fGetFL = 3
	fSetFL = 4

	oNonBlock = 0x800
	oRdWr     = 2
)

//go:nosplit
func sysFcntl(c *cpu, t *thread) uint64 {
	f := fdAt(t.f.rdi)
	if f == nil || f.kind == fdFree {
		return neg(eBADF)
	}
	switch t.f.rsi {
	case fGetFL:
		if f.kind == fdConsole {
			return oRdWr
		}
		return oRdWr | oNonBlock
	case fGetFD, fSetFD, fSetFL:
		return 0
	}
	return neg(eINVAL)
}

//go:nosplit
func sysEventfd(c *cpu, t *thread) uint64 {
	klock.lock()
	r := fdNew(fdEventfd)
	if f := fdAt(r); f != nil {
		f.count = t.f.rdi
	}
	klock.unlock()
	return r
}
