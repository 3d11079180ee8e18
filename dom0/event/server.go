// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package event is dom0's end of the event ports: one thread that looks at the
// pending bits, answers the accesses of guests from device models, and wakes
// goroutines for everything slower.
//
// Where the Go runtime has a poller that can wait for interrupts, those of devices do not
// come to the thread, but to a goroutine ([Server.Devices]): the runtime's thread that
// waits for work is woken by them, and has the work. From another thread the goroutine
// that is made ready there has to be looked for first. So the thread leaves to it as well
// what wakes goroutines ([Server.Later]).
package event

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/abi"
)

// words is how many words of the pending bits are in use: fixed ports, and one per domain
// slot. ports are these and those of devices.
const (
	words = abi.PortDevice / 64
	ports = abi.PortDevice + abi.NumDevicePorts
)

// Server owns the shared page. Handlers run on its thread, or those of devices in their
// goroutine: they must be short and must not block.
type Server struct {
	page     *abi.SharedInfo
	handlers [ports]atomic.Pointer[func()]
	failed   [ports]atomic.Pointer[func(v any)] // outlasts the handler
	now      int                                // the thread's: the port that it looked at last
	device   int                                // the goroutine's
	apart    atomic.Bool                        // devices are the goroutine's
	notify   func()                             // makes it look; set before apart is
	later    atomic.Pointer[later]              // what it is to call, the last first
	Spurious atomic.Uint64                      // events without a handler
}

// New makes the server of the shared page.
func New(page *abi.SharedInfo) *Server {
	return &Server{page: page}
}

// Handle sets what happens when port is raised; nil removes it. It may be
// called at any time. Events that came before are not lost: they are handled
// at the next pass, which the caller may force by raising the port. Should f panic,
// failed is called with the value, in the same place, and the others go on; without
// it the panic does.
func (s *Server) Handle(port uint32, f func(), failed func(v any)) {
	if f == nil {
		s.handlers[port].Store(nil)
		return
	}
	s.failed[port].Store(&failed)
	s.handlers[port].Store(&f)
}

// Poll handles what is pending, and reports whether anything was.
func (s *Server) Poll() bool {
	devices := !s.apart.Load() && s.pollDevices(&s.now)
	if atomic.LoadUint64(&s.page.Ready) == 0 {
		return devices
	}
	for ready := atomic.SwapUint64(&s.page.Ready, 0); ready != 0; ready &= ready - 1 {
		w := bits.TrailingZeros64(ready) % words
		for b := atomic.SwapUint64(&s.page.Pending[w], 0); b != 0; b &= b - 1 {
			s.raise(w*64+bits.TrailingZeros64(b), &s.now)
		}
	}
	return true
}

// pollDevices is Poll for the ports of devices; now is its caller's.
func (s *Server) pollDevices(now *int) bool {
	if atomic.LoadUint64(&s.page.Devices) == 0 {
		return false
	}
	for b := atomic.SwapUint64(&s.page.Devices, 0); b != 0; b &= b - 1 {
		s.raise(abi.PortDevice+bits.TrailingZeros64(b), now)
	}
	return true
}

// Quiet returns what reports whether no other port than port is pending.
func (s *Server) Quiet(port uint32) func() bool {
	pending, word, bit := &s.page.Pending[port/64], uint64(1)<<(port/64), uint64(1)<<(port%64)
	return func() bool {
		ready := atomic.LoadUint64(&s.page.Ready)
		return ready == 0 || ready == word && atomic.LoadUint64(pending)&^bit == 0
	}
}

func (s *Server) raise(port int, now *int) {
	if f := s.handlers[port].Load(); f != nil {
		*now = port
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
	defer s.rescue(&s.now)
	for {
		// While it looks by itself, nobody need interrupt.
		atomic.StoreUint64(&s.page.Masked, 1)
		for s.Poll() {
		}
		atomic.StoreUint64(&s.page.Masked, 0)
		// What was raised between the last look and now came without an
		// interrupt.
		if s.Poll() {
			continue
		}
		s.now = 0
		wait()
	}
}

// Devices has the ports of devices served by the calling goroutine instead, from now on.
// It never returns. wait calls look, and calls it again each time that
// [abi.DeviceVector] has interrupted, or notify was called, since the call before began.
//
// Preconditions: no such port has been raised yet.
func (s *Server) Devices(notify func(), wait func(look func())) {
	s.notify = notify
	s.apart.Store(true)
	for {
		func() {
			defer s.rescue(&s.device)
			wait(func() {
				for s.pollDevices(&s.device) || s.doLater() {
				}
				s.device = 0
			})
		}()
	}
}

// later is a function that the goroutine of devices is to call.
type later struct {
	f    func()
	due  atomic.Bool // it is in the list
	next *later
}

// Later returns what lets f be called soon in the goroutine of devices: once for all calls
// before that. Where there is none, it calls f. It may be called from anywhere. f does not
// block, and does not panic.
func (s *Server) Later(f func()) (call func()) {
	l := &later{f: f}
	return func() {
		if !s.apart.Load() {
			f()
			return
		}
		if l.due.Swap(true) {
			return
		}
		for {
			first := s.later.Load()
			if l.next = first; s.later.CompareAndSwap(first, l) {
				if first == nil { // else it has been told
					s.notify()
				}
				return
			}
		}
	}
}

// doLater calls what is due, and reports whether anything was.
func (s *Server) doLater() bool {
	if s.later.Load() == nil {
		return false
	}
	s.device = 0
	for l := s.later.Swap(nil); l != nil; {
		next, f := l.next, l.f // of others' from here on
		l.due.Store(false)
		l = next
		f()
	}
	return true
}

// rescue takes a handler's panic. The bits that were taken with its own are lost: all
// ports that have a handler, and are served in the same place, are looked at again, which
// costs those nothing.
func (s *Server) rescue(now *int) {
	failed := s.failed[*now].Load()
	if failed == nil || *failed == nil { // none has port 0
		return
	}
	v := recover()
	if v == nil {
		return // the goroutine ends
	}
	for port := range s.handlers {
		switch {
		case s.handlers[port].Load() == nil:
		case port < abi.PortDevice && now == &s.now:
			atomic.OrUint64(&s.page.Pending[port/64], 1<<(port%64))
			atomic.OrUint64(&s.page.Ready, 1<<(port/64))
		case port >= abi.PortDevice && (now == &s.device || !s.apart.Load()):
			atomic.OrUint64(&s.page.Devices, 1<<(port-abi.PortDevice))
		}
	}
	(*failed)(v)
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
