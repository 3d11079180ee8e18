// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package event is dom0's end of the event ports: one thread that looks at the
// pending bits, answers the accesses of guests from device models, and wakes
// goroutines for everything slower.
package event

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/abi"
)

// words is how many words of the pending bits are in use: fixed ports, one per domain
// slot, and those of devices.
const words = (abi.PortDevice + abi.NumDevicePorts) / 64

// Server owns the shared page. Handlers run on its thread: they must be short
// and must not block.
type Server struct {
	page     *abi.SharedInfo
	used     atomic.Uint32 // words that have had a handler, from the first one
	handlers [words * 64]atomic.Pointer[func()]
	failed   [words * 64]atomic.Pointer[func(v any)] // outlasts the handler
	now      int                                     // the thread's: the port that it looked at last
	Spurious atomic.Uint64                           // events without a handler
}

// New makes the server of the shared page.
func New(page *abi.SharedInfo) *Server {
	s := &Server{page: page}
	s.used.Store(abi.PortDomain / 64)
	return s
}

// Handle sets what happens when port is raised; nil removes it. It may be
// called at any time. Events that came before are not lost: they are handled
// at the next pass, which the caller may force by raising the port. Should f panic,
// failed is called with the value, on the same thread, and the others go on; without
// it the panic does.
func (s *Server) Handle(port uint32, f func(), failed func(v any)) {
	if f == nil {
		s.handlers[port].Store(nil)
		return
	}
	s.failed[port].Store(&failed)
	s.handlers[port].Store(&f)
	for w := port/64 + 1; ; {
		n := s.used.Load()
		if w <= n || s.used.CompareAndSwap(n, w) {
			return
		}
	}
}

// Poll handles what is pending where there are handlers, and reports whether
// there was anything.
func (s *Server) Poll() bool { return s.poll(min(int(s.used.Load()), words)) }

// poll looks at the first n words.
func (s *Server) poll(n int) bool {
	any := false
	for w := range n {
		p := &s.page.Pending[w]
		if atomic.LoadUint64(p) == 0 {
			continue
		}
		any = true
		for b := atomic.SwapUint64(p, 0); b != 0; b &= b - 1 {
			s.raise(w*64 + bits.TrailingZeros64(b))
		}
	}
	return any
}

// Quiet returns what reports whether no other port than port is pending, as far as
// there are handlers.
func (s *Server) Quiet(port uint32) func() bool {
	word, bit := port/64, uint64(1)<<(port%64)
	return func() bool {
		pending, n := &s.page.Pending, s.used.Load()
		for w := uint32(0); w < n; w++ {
			if b := atomic.LoadUint64(&pending[w%uint32(len(pending))]); b != 0 && (w != word || b != bit) {
				return false
			}
		}
		return true
	}
}

func (s *Server) raise(port int) {
	if f := s.handlers[port].Load(); f != nil {
		s.now = port
		(*f)()
		return
	}
	s.Spurious.Add(1)
}

// Run never returns. wait blocks the thread until the upcall interrupt; an
// interrupt that came since the last call makes it return at once.
//
// Preconditions: the calling goroutine is locked to its thread.
func (s *Server) Run(wait func()) {
	for {
		s.run(wait)
	}
}

// run returns when a handler that may fail has failed. Nothing of that is paid for
// while none does: there is one deferred call, not one for each event.
func (s *Server) run(wait func()) {
	defer s.rescue()
	for {
		// While it looks by itself, nobody need interrupt.
		s.mask(^uint64(0))
		for s.Poll() {
		}
		s.mask(0)
		// What was raised between the last look and now came without an
		// interrupt. All words: a port without a handler must not stay pending,
		// or raising it would interrupt nobody once it has one.
		if s.poll(words) {
			continue
		}
		s.now = 0
		wait()
	}
}

// rescue takes a handler's panic. The bits that were taken with its own are lost: all
// ports that have a handler are looked at again, which costs those nothing.
func (s *Server) rescue() {
	failed := s.failed[s.now].Load()
	if failed == nil || *failed == nil { // none has port 0
		return
	}
	v := recover()
	if v == nil {
		return // the goroutine ends
	}
	for port := range s.handlers {
		if s.handlers[port].Load() != nil {
			atomic.OrUint64(&s.page.Pending[port/64], 1<<(port%64))
		}
	}
	(*failed)(v)
}

func (s *Server) mask(m uint64) {
	for w := range words {
		atomic.StoreUint64(&s.page.Mask[w], m)
	}
}

// Signal is a level that wakes a goroutine: any number of Set calls before a
// receive count as one.
type Signal chan struct{}

// Set makes a receive succeed; it never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
