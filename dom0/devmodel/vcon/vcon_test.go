// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

import (
	"strings"
	"testing"

	"ringo/drivers/virtio/ring"
)

// What the driver must not do makes the device want a reset, after which it works.
func TestBroken(t *testing.T) {
	for name, c := range map[string]func(r *rig){
		"a message without room":          func(r *rig) { r.room(2, 1, 7); r.send(3, message(0, eventReady, 1, "")) },
		"a message to be read":            func(r *rig) { r.buffer(2, false); r.send(3, message(0, eventReady, 1, "")) },
		"a message to be written":         func(r *rig) { r.buffer(3, true) },
		"output to be written":            func(r *rig) { r.buffer(1, true) },
		"input to be read":                func(r *rig) { r.buffer(0, false); r.opened(); r.dev.Console().Input([]byte("x")) },
		"a port's input to be read":       func(r *rig) { r.buffer(4, false); r.opened(); r.dev.Port(0).Input([]byte("x")) },
		"output that is not in the RAM":   func(r *rig) { r.queues[1].Add([]ring.Buffer{{Addr: 1 << 40, Len: 1}}, 0); r.d.Kick(1) },
		"output that is partly elsewhere": func(r *rig) { r.queues[1].Add([]ring.Buffer{{Addr: 1<<20 - 1, Len: 2}}, 0); r.d.Kick(1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.start(featPorts)
			c(r)
			r.eventually("it wants a reset", func() bool { return r.rd(20, 1)&64 != 0 })
			r.start(featPorts)
			r.greet()
			r.send(1, "afterwards")
			r.eventually("it prints", func() bool { return strings.HasSuffix(r.con.String(), "afterwards") })
		})
	}
}

// buffer gives queue i a buffer.
func (r *rig) buffer(i int, write bool) {
	r.queues[i].Add([]ring.Buffer{{Addr: data(i, 0), Len: 64, Write: write}}, 0)
	r.d.Kick(i)
}

// opened opens both ports.
func (r *rig) opened() {
	for i := range uint16(2) {
		r.send(3, message(i, eventOpen, 1, ""))
	}
}

// Messages that mean nothing, or name nobody, do nothing.
func TestNonsense(t *testing.T) {
	r := newRig(t)
	r.start(featPorts)
	for _, s := range []string{
		"", "short", message(0, eventReady, 0, ""), message(2, eventPortReady, 1, ""), message(0xffff, eventOpen, 1, ""),
		message(0, 99, 1, ""), message(1, eventPortReady, 0, ""), message(0, eventAdd, 1, ""),
	} {
		r.put(3, 0, s)
		r.done(3)
	}
	for range 1000 { // each is due once
		r.send(3, message(0, eventReady, 1, ""))
	}
	r.greet()
}

// The console prints and is typed on; a port is opened, used by both sides, and closed.
func TestPorts(t *testing.T) {
	r := newRig(t)
	c, p := r.dev.Console(), r.dev.Port(0)
	c.Input([]byte("early ")) // before there is a driver
	r.start(featPorts)
	r.room(0, 4, 3)
	r.room(4, 4, 64)
	r.greet()
	r.send(1, "hello\n")
	r.send(5, "nobody hears this")
	if got := r.con.String(); got != "hello\n" || p.Opened() {
		t.Errorf("printed %q, open %v", got, p.Opened())
	}
	p.Input([]byte("before it is open "))
	r.opened()
	c.Input([]byte("keys"))
	var typed string
	for len(typed) < 10 {
		typed += r.read(0, 3)
	}
	if typed != "early keys" {
		t.Errorf("typed %q", typed)
	}
	if got := r.read(4, 64); got != "before it is open " || !p.Opened() {
		t.Errorf("a port gets %q", got)
	}
	c.Attend(false) // it is the console
	for range 2 {
		p.Attend(true)
	}
	r.agent.more(plenty)
	if got := r.read(2, 128); got != message(1, eventOpen, 1, "") {
		t.Errorf("attended: %q", got)
	}
	r.send(5, "it is heard")
	p.Input([]byte("an answer"))
	if got := r.read(4, 64); got != "an answer" || r.agent.String() != "it is heard" {
		t.Errorf("%q, %q", got, r.agent.String())
	}
	p.Attend(false)
	if got := r.read(2, 128); got != message(1, eventOpen, 0, "") {
		t.Errorf("not attended: %q", got)
	}
	if r.send(5, "any more"); r.agent.String() != "it is heard" {
		t.Errorf("%q", r.agent.String())
	}
	// What was not read is not for who opens it next.
	r.send(3, message(1, eventOpen, 0, ""))
	p.Input([]byte("to nobody"))
	r.send(3, message(1, eventOpen, 1, ""))
	if got := r.read(4, 64); got != "to nobody" {
		t.Errorf("a port gets %q", got)
	}
	if r.interrupted.Load() == 0 {
		t.Error("no interrupt")
	}
}

// A driver that knows one port only has the console.
func TestPlain(t *testing.T) {
	r := newRig(t)
	r.dev.Console().Input([]byte("typed"))
	r.start(ring.FeatureEventIndex)
	r.room(0, 1, 64)
	if got := r.read(0, 64); got != "typed" {
		t.Errorf("typed %q", got)
	}
	if r.send(1, "printed"); r.con.String() != "printed" {
		t.Errorf("printed %q", r.con.String())
	}
	if n := r.rd(0x3004, 4); n != 2 {
		t.Errorf("%d ports", n)
	}
	none := New(Config{Ports: []Sink{&r.agent}, Names: []string{"agent"}})
	if none.Console() != nil || none.Port(0).name != "agent" || len(none.Kind().Queues) != 6 {
		t.Error("a device without a console")
	}
}

// A guest waits for a sink that has no room, loses nothing, and is let go when nobody
// listens any more; a guest that does not read keeps so much waiting, and no more.
func TestFlow(t *testing.T) {
	r := newRig(t)
	p := r.dev.Port(0)
	p.Attend(true)
	r.start(featPorts | ring.FeatureIndirect)
	r.room(2, queueSize, 128)
	var want strings.Builder
	for k := range 8 {
		s := strings.Repeat(string(rune('a'+k)), 4000)
		r.put(5, k, s)
		want.WriteString(s)
	}
	for got := 0; got < 8*4000; {
		n := 1 + got%997
		r.agent.more(n)
		p.Resume()
		got += n
		r.eventually("it goes on", func() bool { return len(r.agent.String()) == min(got, 8*4000) })
	}
	if r.agent.String() != want.String() {
		t.Error("something was lost, or came twice")
	}
	for range 8 {
		r.done(5)
	}
	r.agent.more(-plenty)
	for k := range 3 {
		r.put(5, k, "to be dropped")
	}
	p.Attend(false)
	for range 3 {
		r.done(5)
	}
	c := r.dev.Console()
	if n := c.Input(make([]byte, 5000)); n != InputSize || c.Input([]byte{1}) != 0 {
		t.Errorf("%d bytes wait", n)
	}
	r.send(3, message(0, eventOpen, 1, ""))
	r.room(0, 1, 4096)
	for range InputSize / 512 {
		r.read(0, 4096)
	}
	<-c.Room()
	if n := c.Input(make([]byte, 5000)); n < InputSize/2 {
		t.Errorf("there is room for %d", n)
	}
}

// One request may be much more than there is memory.
func TestHuge(t *testing.T) {
	r := newRig(t)
	r.dev.ports[0].sink = counter{&r.con}
	r.start(featPorts)
	var all []ring.Buffer
	for range queueSize {
		all = append(all, ring.Buffer{Addr: 0x20000, Len: 0x80000})
	}
	r.queues[1].Add(all, 0)
	r.d.Kick(1)
	r.done(1)
	if n := -(r.con.room - plenty); n != queueSize*0x80000 {
		t.Errorf("%d bytes", n)
	}
}

// counter counts what comes.
type counter struct{ s *sink }

func (c counter) Write(p []byte) int {
	c.s.room -= len(p)
	return len(p)
}
