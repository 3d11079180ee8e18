// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"testing"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// generation returns what a domain finds in its memory.
func (r *rig) generation(id uint32) (g generation) {
	r.t.Helper()
	r.dev.mu.Lock()
	defer r.dev.mu.Unlock()
	mem := r.dev.attached[id].Memory
	if mem == nil || copy(g[:], mem.RAM(board.GenerationAt, board.GenerationSize)) != len(g) || g == (generation{}) {
		r.t.Fatalf("domain %d has no generation identifier: %x", id, g)
	}
	return g
}

// A domain has another generation identifier than others, keeps it when it restarts, also
// by a dom0 that has adopted it, and gets another one when it is renewed, or when it is
// kept and made anew.
func TestGeneration(t *testing.T) {
	r := newRig(t)
	c := r.cfg("a", 16)
	id, err := r.Create(c, false)
	if err != nil {
		t.Fatal(err)
	}
	first := r.generation(id)
	if heard, err := r.Renew("a"); heard || err != nil {
		t.Error(heard, err)
	}
	second := r.generation(id)
	r.dev.plug = func(uint32, uint32, uint32) bool { return true }
	if heard, err := r.Renew("a"); !heard || err != nil {
		t.Error(heard, err)
	}
	third := r.generation(id)
	c = r.cfg("b", 16)
	c.OnReboot = config.RenameRestart
	other, err := r.Create(c, false)
	if err != nil {
		t.Fatal(err)
	}
	if g := r.generation(other); g == third || first == second || second == third || first == third {
		t.Errorf("%x, %x, %x; of another domain %x", first, second, third, g)
	}
	if _, err := r.Renew("c"); text(err) == "" {
		t.Error("a domain that does not exist is renewed")
	}
	if _, err := r.Renew("Domain-0"); text(err) == "" {
		t.Error("dom0 is renewed")
	}

	// A new dom0 adopts and restarts them.
	m := r.manager()
	if err := m.Adopt(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	kept := r.generation(other)
	r.Manager = m
	go m.Run(ctx)
	for _, c := range []struct {
		name string
		was  generation
		same bool
	}{{"a", third, true}, {"b", kept, false}} {
		before, err := m.Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Reset(c.name); err != nil {
			t.Fatal(err)
		}
		in := before
		for in.ID == before.ID || !r.dev.has(in.ID) {
			if now, err := m.Find(c.name); err == nil {
				in = now
			}
		}
		if g := r.generation(in.ID); (g == c.was) != c.same {
			t.Errorf("%s: %x, before %x", c.name, g, c.was)
		}
	}
}

// A domain that has stopped is not renewed.
func TestRenewStopped(t *testing.T) {
	r := powered(t, func(c *hcalltest.CPU, ready chan<- bool) {
		ready <- true
		c.Shutdown(abi.ShutdownPoweroff)
	}, func(c *config.Config) { c.OnPoweroff = config.Preserve })
	r.await(1)
	if _, err := r.Renew("a"); text(err) != `domain "a" has stopped already: destroy a frees it` {
		t.Error(err)
	}
}

// What is no identifier in a record is replaced.
func TestGenerationText(t *testing.T) {
	g := newGeneration()
	b, _ := g.MarshalText()
	var back, other generation
	if err := back.UnmarshalText(b); err != nil || back != g {
		t.Errorf("%x: %x, %v", g, back, err)
	}
	for _, s := range []string{"", "00", string(b[:30]), "zz" + string(b[2:])} {
		if err := other.UnmarshalText([]byte(s)); err != nil || other == (generation{}) {
			t.Errorf("%q: %x, %v", s, other, err)
		}
	}
}
