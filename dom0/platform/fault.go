// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"fmt"

	"ringo/dom0/console"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// A device model that panics ends its guest, as a machine whose device is broken: the
// others, and dom0, go on. Every way into the models passes one of these: the thread
// of events failedServing, timers and what is typed guard. Queues have vpci's own, and
// their guest goes on as well: the device needs a reset.
//
// Models hold their locks by defer, so that the guest can be taken down.

// failedServing takes a panic of g.serve, whose lock is still held: to let go of it by
// defer would cost each access of each guest.
func (p *Platform) failedServing(g *guest, v any) {
	g.gone = true
	g.mu.Unlock()
	p.fail(g, v)
}

// guard is deferred where a goroutine enters the models of g.
func (p *Platform) guard(g *guest) {
	if v := recover(); v != nil {
		p.fail(g, v)
	}
}

// fail crashes g, of whose devices one panicked with v.
//
// Preconditions: the panic is recovered, and its stack not yet left.
func (p *Platform) fail(g *guest, v any) {
	g.fault.CompareAndSwap(nil, "a device of it failed: "+problem.Panic(v).Error())
	_ = p.hv.End(g.id, abi.ShutdownCrash)
}

// broken tells people of a virtio device of g of which a queue panicked with v.
//
// Preconditions: as of fail.
func (p *Platform) broken(g *guest, v any) {
	go p.notify(fmt.Sprintf("error: domain %q: a virtio device of it failed: %v; its driver has to reset it, or restart the domain", g.name, problem.Panic(v)))
}

// Fault implements [domain.Devices].
func (p *Platform) Fault(id uint32) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.guests[id]; g != nil {
		s, _ := g.fault.Load().(string)
		return s
	}
	return ""
}

// model is the model of a serial port, or another one.
type model = console.Input

// input is a port as the console knows it.
type input struct {
	model
	p *Platform
	g *guest
}

// Input implements console.Input.
func (i input) Input(b []byte) int {
	defer i.p.guard(i.g)
	return i.model.Input(b)
}
