// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// tools/image links the frozen cryptographic module, whose FIPS mode is for others.
//go:debug fips140=off

// Command dom0 is the privileged partition: device models, toolstack and
// console, in guest mode, without an operating system below it.
package main

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"ringo/boot/churn"
	"ringo/boot/kernel"
	"ringo/dom0/account"
	"ringo/dom0/api"
	"ringo/dom0/cli"
	"ringo/dom0/console"
	"ringo/dom0/domain"
	"ringo/dom0/event"
	"ringo/dom0/files"
	"ringo/dom0/hcall"
	"ringo/dom0/network/lan"
	"ringo/dom0/platform"
	"ringo/dom0/storage"
	"ringo/dom0/store"
	"ringo/hv/abi"
)

const hostname = "ringo"

func main() {
	start := kernel.StartInfo()
	if start == nil {
		println("dom0 runs as a partition of the Ringo hypervisor only")
		return
	}
	hv := hcall.New(hcall.Native(start.CallInsn), bouncePage())
	direct := hcall.Direct{}

	events := event.New(direct.Shared(start.SharedInfo))
	line := hcall.NewConsole(hv)
	host := console.New(line, line, hostname+"# ")
	info, err := hv.Host()
	if err != nil {
		host.Notify("error: " + err.Error())
	}
	options := strings.Fields(hcall.Text(info.CmdLine[:]))
	uplinks := new(lan.Uplinks)
	net, clock := newNetwork(hv, options, uplinks, host.Notify)
	machine := newHardware(hv, events, int(start.NumCPUs), net, uplinks, host.Notify)
	budget := account.New(kernel.ReadStats().FreeFrames * hcall.PageSize)
	devices := platform.New(hv, events, direct, budget.Account("a guest"), host.Notify)
	events.Handle(abi.PortConsole, line.Wake, nil)
	_, reservable := budget.Use()
	defined := store.NewMemory(budget.Account("a definition"))
	fetched := files.NewFetched(budget.Account("a fetched file"))
	found := files.New(files.Options{
		Memory: direct, Modules: start.Modules[:start.NumModules], Fetched: fetched, Warn: host.Notify, Web: fromWeb(net),
		Disks: func() []files.Disk { return disks(machine) },
	})
	domainDisks := storage.New(storage.Options{
		Disks: func() []storage.Source { return sources(machine) }, Open: found.Open,
		Snapshots: budget.Account("a snapshot"), Most: reservable / 2,
		Confined: hcall.Text(info.IOMMU[:]) != "", Memory: deviceMemory, Notify: host.Notify,
	})
	networks, gateway := newGuestNetworks(net, options, uplinks, budget.Account("the network of guests"), host.Notify)
	manager := domain.New(domain.Options{
		HV: hv, Loader: domain.Images{Account: budget.Account("unpacking")}, Files: found,
		Devices: devices, Memory: direct, Storage: domainDisks, Networks: networks, Store: defined, Dumps: budget.Account("a dump"), DumpMost: reservable / 2, Notify: host.Notify, Tell: host.Tell,
	})
	events.Handle(abi.PortDomainState, manager.StateChanged, nil)
	startCPUs(int(start.NumCPUs))
	// One more P than CPUs: the event thread keeps its own while it waits.
	kernel.Procs(kernel.NumCPU() + 1)
	go serveEvents(events)
	serveDevices(events)
	go machine.Start()
	go clock.Run()
	if err := manager.Adopt(); err != nil {
		host.Notify("error: " + err.Error())
	}
	go manager.Run(context.Background())
	go manager.Autostart(autostart(options))
	torture(options)

	shell := &cli.Shell{
		API: &api.API{
			Manager: manager, HV: hv, Hardware: machine, Budget: budget, Storage: domainDisks, Networks: networks, Gateway: gateway, Hostname: hostname, Release: abi.Release, Now: time.Now,
			Network: net, Clock: clock, Fetched: fetched,
		},
		Terminal: platform.Terminal{Platform: devices, Host: host},
	}
	shell.Run("status", host)
	host.Notify("error: the console ended: " + shell.Loop(host).Error())
	select {} // the guests go on
}

// startCPUs starts the other vCPUs of dom0. It goes on with those that start:
// fewer than asked for is no reason to have none.
func startCPUs(n int) {
	for id := 1; id < n; id++ {
		if err := kernel.StartCPU(uint32(id)); err != nil {
			println("dom0: vCPU", id, "does not start:", err.Error())
			return
		}
	}
}

// serveEvents answers the accesses of guests, on a thread of its own.
func serveEvents(s *event.Server) {
	runtime.LockOSThread()
	s.Run(func() { kernel.WaitIRQ(abi.UpcallVector, 0) })
}

// serveDevices has the runtime's poller wait for interrupts of devices. That of TamaGo has
// none: there they are the event thread's.
func serveDevices(s *event.Server) {
	if runtime.GOOS == "tamago" {
		return
	}
	fd, err := kernel.OpenIRQ(abi.DeviceVector)
	if err != nil {
		panic("dom0: " + err.Error())
	}
	conn, err := os.NewFile(fd, "devices").SyscallConn()
	if err != nil {
		panic("dom0: " + err.Error())
	}
	go s.Devices(func() { kernel.Raise(abi.DeviceVector) }, func(look func()) {
		err := conn.Read(func(uintptr) bool {
			look()
			return false
		})
		panic("dom0: no poller: " + err.Error())
	})
}

// torture keeps dom0's Go runtime busy if the hypervisor was started with the
// option of that name.
func torture(options []string) {
	if !slices.Contains(options, "torture") {
		return
	}
	churn.Start(kernel.NumCPU(), func(what string) { panic(what) })
}

// autostart returns the files of autostart=FILE[,FILE...] among the hypervisor's
// options.
func autostart(options []string) (files []string) {
	for _, o := range options {
		if list, ok := strings.CutPrefix(o, "autostart="); ok {
			files = append(files, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
		}
	}
	return files
}
