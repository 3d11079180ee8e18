// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// Reasons for which a domain does not run, bits of life.stop.
const (
	stopPaused  = 1 << iota // by the toolstack
	stopEnded               // shut down or crashed by itself
	stopDying               // being destroyed
	stopUnready             // never started
)

// life says whether a domain's vCPUs may run, and how it ended.
type life struct {
	VCPUs []*VCPU
	// stop is read under VCPU.mu too: see VCPU.start.
	stop atomic.Uint32

	// Guarded by Domain.mu.
	frozen   bool // buses are frozen: it has run
	shutdown abi.Shutdown
	why      [abi.WhyLen]byte
	destroy  destroyStep
}

// Stopping reports whether runners must park the vCPUs.
func (l *life) Stopping() bool { return l.stop.Load() != 0 }

// setStop sets bits of stop and takes every vCPU off its CPU. It reports
// whether all of them are off; if not, ask again.
func (l *life) setStop(bits uint32) (quiet bool) {
	l.stop.Or(bits)
	quiet = true
	for _, v := range l.VCPUs {
		if !v.halt() {
			quiet = false
		}
	}
	return quiet
}

// clearStop clears bits of stop and starts the vCPUs when none remain.
func (l *life) clearStop(bits uint32) {
	if l.stop.And(^bits)&^bits != 0 {
		return
	}
	for _, v := range l.VCPUs {
		v.start()
	}
}

// state returns the bits of abi.DomainInfo.State.
//
// Preconditions: Domain.mu is held.
func (l *life) state() uint32 {
	stop := l.stop.Load()
	var s uint32
	if stop&(stopPaused|stopUnready) != 0 {
		s |= abi.StatePaused
	}
	if stop&stopEnded != 0 {
		s |= abi.StateShutdown
		if l.shutdown == abi.ShutdownCrash {
			s |= abi.StateCrashed
		}
	}
	if stop&stopDying != 0 {
		s |= abi.StateDying
	}
	if s != 0 {
		return s
	}
	for _, v := range l.VCPUs {
		if v.State() == Running || v.State() == Runnable {
			return abi.StateRunning
		}
	}
	return abi.StateBlocked
}

// Pause stops d until Unpause. It reports Again while a vCPU is still on a CPU.
//
// Preconditions: d is not dom0.
func (d *Domain) Pause() abi.Status {
	if !d.setStop(stopPaused) {
		return abi.Again
	}
	return abi.OK
}

// Unpause lets d run, for the first time or after Pause. Its clocks have gone on
// meanwhile.
func (d *Domain) Unpause() abi.Status {
	d.mu.Lock()
	if d.destroy != destroyNone {
		d.mu.Unlock()
		return abi.Busy
	}
	if d.frozen && d.stop.Load()&stopPaused != 0 {
		for _, v := range d.VCPUs {
			v.paused.Store(true)
		}
	}
	if !d.frozen {
		d.Ports.Freeze()
		d.Mem.Freeze()
		d.config.Freeze()
		d.frozen = true
		d.startClock()
	}
	d.mu.Unlock()
	d.clearStop(stopPaused | stopUnready)
	return abi.OK
}

// End stops d by its own doing: r says how, why is for people. The first reason
// stays. It never waits: d's vCPUs park as their runners see it.
func (d *Domain) End(r abi.Shutdown, why string) {
	if d.Privileged() {
		d.machine.dom0Ended(r, why)
		return
	}
	d.mu.Lock()
	first := d.shutdown == abi.ShutdownNone
	if first {
		d.shutdown = r
		copy(d.why[:abi.WhyLen-1], why)
	}
	d.mu.Unlock()
	d.setStop(stopEnded)
	if first {
		d.machine.Events.Raise(abi.PortDomainState)
	}
}

// Crash ends d because of something its guest did. why says what.
func (d *Domain) Crash(why string) { d.End(abi.ShutdownCrash, why) }
