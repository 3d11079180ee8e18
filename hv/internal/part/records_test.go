// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"fmt"
	"runtime"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/sched"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// stock is a backend whose vCPUs exist before they are asked for, so that they
// do not count as records.
type stock struct {
	*vcputest.Backend
	made []*vcputest.VCPU
	next int
	full int // ErrTooMany after so many
}

func (s *stock) NewVCPU(*pt.Tables) (vcpu.VCPU, error) {
	if s.next >= s.full {
		return nil, vcpu.ErrTooMany
	}
	v := s.made[s.next]
	s.next++
	return v, nil
}

// newMachine is a machine with dom0 and a stock of n vCPUs.
func newMachine(t *testing.T, n int) (*Machine, *stock) {
	t.Helper()
	const ram = 64 * mm.MiB
	mem := phystest.New(t)
	mem.Declare(16*mm.MiB, ram)
	mem.Quiet(true)
	s := &stock{Backend: vcputest.NewBackend(), full: n}
	s.Backend.Format = *pt.NPT(true)
	for range n + 1 {
		s.made = append(s.made, vcputest.NewVCPU())
	}
	r := mm.Range[mm.HPA]{Start: 16 * mm.MiB, Size: ram}
	size, _ := frame.MetaBytes([]mm.Range[mm.HPA]{r})
	pool, err := frame.New(mem, []mm.Range[mm.HPA]{r}, make([]uint32, size/4))
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Add(r); err != nil {
		t.Fatal(err)
	}
	ioreq := new(abi.IOReqPage) // a frame, not a record
	m := &Machine{
		Backend: s, Frames: pool, Phys: mem, Sched: sched.New(sched.Config{CPUs: 1, Tick: 1e7}), TSCHz: 1e9,
		CPUs:      []*pcpu.CPU{{}},
		HostCPUID: func(leaf, sub uint32) policy.Result { return policy.Result{} },
		TSC:       func() uint64 { return 1 }, ThisCPU: func() int { return 0 }, Kick: func(int) {},
		IOReqPage: func(mm.HPA) *abi.IOReqPage { return ioreq },
		Events:    event.New(new(abi.SharedInfo), func(uint8) {}),
		Dom0Ended: func(abi.Shutdown, string) {},
	}
	s.full++
	if _, _, err := m.CreateDom0(1, 8*mm.MiB); err != nil {
		t.Fatal(err)
	}
	return m, s
}

// create makes a domain with the name of a number.
func create(m *Machine, i, vcpus int) (*Domain, abi.Status) {
	a := abi.CreateArgs{VCPUs: uint32(vcpus), MaxBytes: mm.MiB}
	copy(a.Name[:], fmt.Sprint("d", i))
	return m.Create(&a)
}

func destroy(t *testing.T, d *Domain) {
	t.Helper()
	for range 100 {
		if d.Destroy() == abi.OK {
			return
		}
	}
	t.Fatal("a destruction has no end")
}

// heap is what lives on the Go heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestRecordCosts compares what domains take of the heap with what they are
// charged: as much at least, and not wildly more.
func TestRecordCosts(t *testing.T) {
	const domains = 8
	m, s := newMachine(t, 2*domains*abi.MaxVCPUs)
	// fill makes domains with all that makes records, and returns what the heap
	// and the account grew by.
	fill := func(vcpus int) (real, charged uint64) {
		start := heap()
		from, _ := m.Records.Use()
		var all [domains]*Domain
		for i := range all {
			d, st := create(m, i, vcpus)
			if st != abi.OK {
				t.Fatal(st)
			}
			for _, c := range [...][2]uint64{{0x3f8, 8}, {0x70, 2}, {0x1f0, 8}, {0xc000, 0x4000}} {
				if st := d.Claim(abi.SpacePort, c[0], c[1], 0); st != abi.OK {
					t.Fatal(st)
				}
			}
			for page := range uint64(16) {
				for st := abi.Again; st != abi.OK; {
					if st = d.Populate(mm.GPA(2*page*mm.PageSize), mm.PageSize, abi.RAMWritable); st != abi.OK && st != abi.Again {
						t.Fatal(st)
					}
				}
			}
			d.SetRecord(make([]byte, abi.RecordLen))
			d.Unpause()
			all[i] = d
		}
		for _, v := range s.made[:s.next] {
			v.Calls = nil
		}
		to, _ := m.Records.Use()
		real, charged = heap()-start, to-from
		for _, d := range all {
			destroy(t, d)
		}
		if left, _ := m.Records.Use(); left != from {
			t.Errorf("%d bytes remain charged, %d before", left, from)
		}
		return real, charged
	}
	fill(1) // the model of physical memory keeps pages that were used once
	one, oneCharged := fill(1)
	s.next = 1
	fill(abi.MaxVCPUs)
	s.next = 1
	many, manyCharged := fill(abi.MaxVCPUs)
	one += domains * vcpu.RecordBytes
	many += domains * abi.MaxVCPUs * vcpu.RecordBytes
	t.Logf("a domain: %d bytes, charged %d; with %d vCPUs %d, charged %d", one/domains, oneCharged/domains,
		abi.MaxVCPUs, many/domains, manyCharged/domains)
	if one > oneCharged || many > manyCharged {
		t.Error("domains take more than they are charged")
	}
	if oneCharged > 3*one || manyCharged > 3*many {
		t.Error("domains are charged far more than they take")
	}
}

// TestRecordLimit fills the account by each call that takes from it. Each
// refusal leaves everything as it was.
func TestRecordLimit(t *testing.T) {
	m, s := newMachine(t, 200)
	free := m.Frames.FreeBytes()
	const fit = 3
	m.Records.SetLimit(fit*recordCost(2) + 4*extentCost)
	var all []*Domain
	for i := range fit {
		d, st := create(m, i, 2)
		if st != abi.OK {
			t.Fatal(st)
		}
		all = append(all, d)
	}
	refused := func(what string, f func() abi.Status) {
		t.Helper()
		used, _ := m.Records.Use()
		before := m.Frames.FreeBytes()
		st := abi.Again
		for st == abi.Again {
			st = f()
		}
		now, _ := m.Records.Use()
		if st != abi.NoRecord || now != used || m.Frames.FreeBytes() != before {
			t.Errorf("%s: %v; account %d, %d before; free memory %d, %d before", what, st, now, used, m.Frames.FreeBytes(), before)
		}
	}
	refused("create", func() abi.Status { _, st := create(m, fit, 1); return st })
	d := all[0]
	refused("claim of many ports", func() abi.Status { return d.Claim(abi.SpacePort, 1, 1<<15, 0) })
	refused("doorbell", func() abi.Status { return d.SetBell(0, abi.SpacePort, 0, 0) })
	for page := range uint64(4) {
		st := abi.Again
		for st == abi.Again {
			st = d.Populate(mm.GPA(2*page*mm.PageSize), mm.PageSize, abi.RAMWritable)
		}
		if st != abi.OK {
			t.Fatal(st)
		}
	}
	refused("RAM", func() abi.Status { return d.Populate(20*mm.PageSize, mm.PageSize, abi.RAMWritable) })
	refused("claim of memory", func() abi.Status { return all[1].Claim(abi.SpaceMemory, 1<<32, 1, 0) })
	destroy(t, d)
	if _, st := create(m, fit, 3); st != abi.NoRecord {
		t.Errorf("a larger domain in place of a smaller one: %v", st)
	}
	d, st := create(m, fit, 2)
	if st != abi.OK {
		t.Fatalf("after one was destroyed: %v", st)
	}
	m.Records.SetLimit(0)
	s.full = s.next
	if _, st := create(m, 99, 2); st != abi.NoSlot {
		t.Errorf("the processor is full: %v", st)
	}
	for _, d := range append(all[1:], d) {
		destroy(t, d)
	}
	if used, _ := m.Records.Use(); used != 0 || m.Frames.FreeBytes() != free {
		t.Errorf("%d bytes of records, %d bytes of RAM lost", used, free-m.Frames.FreeBytes())
	}
}

// TestFullLedger makes as many domains as there are slots.
func TestFullLedger(t *testing.T) {
	m, _ := newMachine(t, 2*MaxDomains)
	free := m.Frames.FreeBytes()
	var all []*Domain
	for i := 1; i < MaxDomains; i++ {
		d, st := create(m, i, 1)
		if st != abi.OK {
			t.Fatalf("domain %d: %v", i, st)
		}
		all = append(all, d)
	}
	if _, st := create(m, 0, 1); st != abi.NoSlot {
		t.Errorf("one too many: %v", st)
	}
	destroy(t, all[100])
	if d, st := create(m, 0, 1); st != abi.OK || d.Port != all[100].Port {
		t.Errorf("in the slot that is free again: %v", st)
	} else {
		all[100] = d
	}
	for _, d := range all {
		destroy(t, d)
	}
	if m.Count() != 1 || m.Frames.FreeBytes() != free {
		t.Errorf("%d domains remain, %d bytes lost", m.Count(), free-m.Frames.FreeBytes())
	}
}
