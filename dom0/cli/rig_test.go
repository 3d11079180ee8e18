// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/api"
	"ringo/dom0/console"
	"ringo/dom0/domain"
	"ringo/dom0/event"
	"ringo/dom0/files"
	"ringo/dom0/hardware"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/loader"
	"ringo/dom0/network/lan"
	"ringo/dom0/platform"
	"ringo/hv/abi"
)

// fakeLoader starts whatever begins with "kernel".
type fakeLoader struct{}

func (fakeLoader) Check(k loader.Source) (w loader.Wants, err error) {
	b := make([]byte, 6)
	if _, err := k.R.ReadAt(b, 0); err != nil || string(b) != "kernel" {
		return w, errors.New("kernel \"" + k.Name + "\": neither a Linux bzImage nor an ELF kernel")
	}
	return w, nil
}

func (fakeLoader) Try(loader.Request) error { return nil }

func (fakeLoader) Load(r loader.Request, mem loader.Guest) (abi.VCPUContext, error) {
	copy(mem.RAM(0x1000, 100), r.Cmdline)
	return abi.VCPUContext{RIP: 1 << 20}, nil
}

// modules is memory with the boot modules one after the other.
type modules struct {
	mem  []byte
	list []abi.Module
}

func (m *modules) Slice(a, n uint64) []byte { return m.mem[a:][:n] }

func (m *modules) add(name, content string) {
	var x abi.Module
	hcall.SetText(x.Name[:], name)
	x.Start, x.Size = uint64(len(m.mem)), uint64(len(content))
	m.mem = append(m.mem, content...)
	m.list = append(m.list, x)
}

const demoTOML = `name = "demo"
vcpus = 2
memory = "64MiB"
[boot]
kernel = "boot:vmlinuz"
initrd = "boot:initrd.gz"
cmdline = "console=ttyS0"
`

// linux is a guest with a console: it shows its command line, prompts, echoes
// lines, and knows three commands.
func linux(c *hcalltest.CPU) {
	say := func(s string) {
		for _, b := range []byte(s) {
			c.Out(0x3f8, b)
		}
	}
	c.Out(0x3fc, 0x0b) // DTR, RTS, OUT2
	c.Out(0x3f9, 0x01) // receive interrupt
	cmdline, _, _ := strings.Cut(string(c.Memory(0x1000)[:100]), "\x00")
	say("Linux boots with " + cmdline + "\r\n# ")
	line := ""
	for {
		c.WaitIRQ(4)
		for c.In(0x3fd)&1 != 0 {
			b := c.In(0x3f8)
			if b != '\r' && b != '\n' {
				line += string(rune(b))
				say(string(rune(b)))
				continue
			}
			say("\r\n")
			switch line {
			case "poweroff":
				c.Shutdown(abi.ShutdownPoweroff)
			case "crash":
				c.Crash("triple fault at 0xffffffff81000000")
			case "uname":
				say("Linux\r\n")
			}
			line = ""
			say("# ")
		}
	}
}

// rig is the whole of dom0, wired as main does it, on a machine in memory.
type rig struct {
	*Shell
	*hcalltest.Machine
	devices *platform.Platform
	client  *hcall.Client
	line    *hcall.Console
}

func newRig(t *testing.T, notify func(string)) *rig {
	m := hcalltest.New(256<<20, 4)
	m.Guest = linux
	m.Logf("ringo starting\nmemory: 400 MiB\n")
	hv := m.Client()
	mods := new(modules)
	mods.add("vmlinuz", "kernel and more")
	mods.add("initrd.gz", "initrd")
	mods.add("demo.toml", demoTOML)
	mods.add("bad.toml", "name = \"bad\"\nmemroy = 5\n")
	mods.add("disk.toml", "[boot]\nkernel=\"boot:vmlinuz\"\n[[disk]]\nvolume = \"pool0/x\"\n")
	clock := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	uuid := byte(0)

	events := event.New(m.Shared)
	budget := account.New(128 << 20)
	wake := make(event.Signal, 1)
	m.Upcall = wake.Set
	networks := lan.New(lan.Options{})
	devices := platform.New(hv, events, m, budget.Account("a guest"), func(string) {})
	manager := domain.New(domain.Options{
		HV: hv, Loader: fakeLoader{}, Files: files.New(files.Options{Memory: mods, Modules: mods.list}), Devices: devices, Memory: m, Networks: networks,
		Notify: notify, Now: func() time.Time { return clock },
		NewUUID: func() (u [16]byte) { uuid++; u[15] = uuid; return u },
	})
	line := hcall.NewConsole(hv)
	events.Handle(abi.PortConsole, line.Wake, nil)
	events.Handle(abi.PortDomainState, manager.StateChanged, nil)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go manager.Run(ctx)
	go func() {
		for {
			for events.Poll() {
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
		}
	}()
	machine := hardware.New(hardware.Options{HV: hv, Events: events, Log: func(s string) { t.Error(s) }})
	machine.Start()
	return &rig{
		Shell: &Shell{API: &api.API{
			Manager: manager, HV: hv, Hardware: machine, Budget: budget, Networks: networks, Hostname: "ringo", Release: "0.0-test",
			Now: func() time.Time { return clock.Add(90061 * time.Second) },
		}},
		devices: devices,
		Machine: m, client: hv, line: line,
	}
}

// wait waits until the host console shows want behind the first from bytes, and
// returns how much it shows up to there.
func (r *rig) wait(t *testing.T, from int, want string) int {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if i := strings.Index(r.Output()[from:], want); i >= 0 {
			return from + i + len(want)
		}
	}
	t.Fatalf("no %q after:\n%s", want, r.Output())
	return 0
}

// left waits until n domains are left.
func (r *rig) left(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ids, _ := r.Leaks(); len(ids) == n {
			return
		}
	}
	t.Fatalf("%d domains were to be left", n)
}

// host starts the prompt on the machine's console.
func (r *rig) host() *console.Host {
	h := console.New(r.line, r.line, "ringo# ")
	r.Terminal = platform.Terminal{Platform: r.devices, Host: h}
	go func() { _ = r.Loop(h) }()
	return h
}
