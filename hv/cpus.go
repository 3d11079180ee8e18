// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"
	"sync"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pcpu"
	loop "ringo/hv/internal/run"
	"ringo/hv/internal/sched"
)

// startCPUs brings up the processors of the MADT one by one. One that does not
// answer, or whose time is another one, is left out with a warning.
func startCPUs(m *part.Machine, fw *acpi.Tables, opts cmdline.Options) {
	for _, c := range otherCPUs(fw) {
		if opts.MaxCPUs != 0 && kernel.NumCPU() >= opts.MaxCPUs {
			break
		}
		if err := kernel.StartCPU(c.APICID); err != nil {
			dbg.At(dbg.Warning).S("CPU with APIC id ").U(uint64(c.APICID)).S(": ").S(err.Error()).End()
			continue
		}
		if by := kernel.Adjusted(kernel.NumCPU() - 1); by != 0 {
			dbg.At(dbg.Warning).S("CPU with APIC id ").U(uint64(c.APICID)).S(": its time-stamp counter was adjusted by ").
				S(itoa(int(by))).S(" ticks").End()
		}
	}
	n := kernel.NumCPU()
	// One more P than there are runners and the thread of the serial port, so
	// that the garbage collector and other goroutines need not wait for theirs.
	kernel.Procs(n + 2)
	for i := range n {
		m.CPUs = append(m.CPUs, &pcpu.CPU{ID: i})
	}
	m.Sched = sched.New(sched.Config{
		CPUs: n, First: guestCPU(n, opts), Tick: m.TSCHz / 100, Pinned: opts.Scheduler == cmdline.SchedPinned,
	})
}

// guestCPU is the first of n CPUs that runs guests.
func guestCPU(n int, opts cmdline.Options) int {
	if opts.HVCPUs >= n {
		dbg.At(dbg.Warning).S("hv_cpus=").U(uint64(opts.HVCPUs)).S(" leaves no CPU for guests: there are ").
			U(uint64(n)).S("; all CPUs run guests").End()
		return 0
	}
	return opts.HVCPUs
}

// otherCPUs returns the processors beside this one that are there.
func otherCPUs(fw *acpi.Tables) []acpi.CPU {
	if fw.MADT == nil {
		return nil
	}
	ready, later := fw.MADT.Others(kernel.APICID(0))
	if later > 0 {
		dbg.At(dbg.Info).S("room for ").U(uint64(later)).S(" CPUs more: those that are plugged in while it runs are not used").End()
	}
	return ready
}

// startWatchdog watches all CPUs, and those of their runners that have one.
func startWatchdog(m *part.Machine) {
	for _, c := range m.CPUs {
		if m.Sched.Runs(c.ID) {
			kernel.Progress(c.ID, c.Progress())
		}
	}
	kernel.StartWatchdog(1_000_000_000)
	if len(m.CPUs) == 1 {
		dbg.At(dbg.Warning).S("watchdog: with one CPU nobody sees it loop with interrupts off").End()
	}
}

// run starts a runner on every CPU that runs guests, lets dom0 go, and keeps the
// main goroutine for what is not urgent. It does not return.
func run(m *part.Machine, svc *hcall.Services, dom0 *part.Domain, opts cmdline.Options) {
	var ready sync.WaitGroup
	for _, c := range m.CPUs {
		if !m.Sched.Runs(c.ID) {
			continue
		}
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			err := kernel.Runner(c.ID)
			if err == nil {
				err = m.Backend.Enable(c.ID)
			}
			if err != nil {
				fatal("CPU ", itoa(c.ID), ": ", err.Error())
			}
			ready.Done()
			loop.New(c, m, svc, loop.Host{
				Now: kernel.TSC, Wait: kernel.Wait, Arm: kernel.Arm,
				MachineCheck: kernel.MachineCheck, LostPage: kernel.LostPage, NextIRQ: kernel.NextIRQ, Raised: kernel.Raised(),
			}).Loop()
		}()
	}
	ready.Wait()
	if opts.Watchdog {
		startWatchdog(m)
	}
	dbg.At(dbg.Info).U(uint64(len(m.CPUs))).S(" CPUs, starting dom0").End()
	dom0.Unpause()
	select {}
}
