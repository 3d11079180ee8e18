// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"debug/elf"
	"strings"
	"testing"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// What is dumped is what the domain has, and it is as it was after it.
func TestDumpCore(t *testing.T) {
	r := newRig(t)
	r.Guest = func(c *hcalltest.CPU) { c.WaitIRQ(0) }
	id, err := r.Create(r.cfg("web", 16), false)
	r.must(err)
	x, err := r.DumpCore("web")
	r.must(err)
	if in, _ := r.Find("web"); in.Is(Paused) {
		t.Error("it stays paused")
	}
	f, err := elf.NewFile(x)
	r.must(err)
	if len(f.Progs) != 3 || x.ID != id || len(x.VCPUs) != 1 || x.VCPUs[0].RIP != 1<<20 {
		t.Fatalf("%+v %+v", f.Progs, x)
	}
	b := make([]byte, 8)
	for _, p := range f.Progs {
		if p.Paddr <= 1<<20 && 1<<20 < p.Paddr+p.Memsz && p.Type == elf.PT_LOAD {
			_, err = p.ReadAt(b, int64(1<<20-p.Paddr))
			r.must(err)
		}
	}
	if string(b) != "KERNELxx" {
		t.Errorf("at 1 MiB is %q", b)
	}
	r.must(r.Pause("web"))
	_, err = r.DumpCore("web")
	r.must(err)
	if in, _ := r.Find("web"); !in.Is(Paused) {
		t.Error("it does not stay paused")
	}
	r.must(r.Destroy("web"))
	if all := r.AllDumps(); len(all) != 1 || all[0].Name != "web" {
		t.Errorf("%+v", all)
	}
	r.must(r.ForgetDump("web"))
	_, err = r.FindDump("web")
	r.fails(err, `no dump of "web" is kept`)
	_, err = r.DumpCore("0")
	r.fails(err, "control domain")
}

// A domain that crashes is dumped before what happens to it happens.
func TestDumpOfCrash(t *testing.T) {
	for _, c := range []struct {
		action config.Action
		why    string
		limit  uint64
		want   string
		dumps  int
	}{
		{config.CoredumpDestroy, "triple fault", 0, `domain "web" crashed: triple fault (dumped: dumps web): destroying it`, 1},
		{config.CoredumpRestart, "triple fault", 0, `domain "web" crashed: triple fault (dumped: dumps web): restarting`, 1},
		{config.CoredumpDestroy, "machine check: memory", 0, `(not dumped: memory of domain "web" has failed`, 0},
		{config.CoredumpDestroy, "bug", 1, `(not dumped: the dump of "web" does not fit: dumps may have 0 MiB`, 0},
	} {
		r := newRig(t)
		if c.limit > 0 {
			r.DumpMost = c.limit
		}
		b := account.New(64 << 20)
		r.Dumps = b.Account("a dump")
		cfg := r.cfg("web", 16)
		cfg.OnCrash = c.action
		id, err := r.Create(cfg, true)
		r.must(err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan bool)
		go func() { r.Run(ctx); done <- true }()
		r.Update(id, func(d *abi.DomainInfo) {
			d.State = abi.StateCrashed
			hcall.SetText(d.Why[:], c.why)
		})
		r.StateChanged()
		<-r.noted
		cancel()
		<-done
		if !strings.Contains(r.notes[0], c.want) {
			t.Errorf("%q, want %q", r.notes, c.want)
		}
		all := r.AllDumps()
		if use, _ := b.Use(); len(all) != c.dumps || (use[0].Bytes > 0) != (c.dumps > 0) {
			t.Errorf("%s: %d dumps, %d bytes", c.action, len(all), use[0].Bytes)
		}
		in, err := r.Find("web")
		if (err == nil && in.ID != id) != (c.action == config.CoredumpRestart) {
			t.Errorf("%s: %+v %v", c.action, in, err)
		}
	}
}
