// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/domain"
	"ringo/dom0/files"
	"ringo/dom0/hardware"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/loader"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
	"ringo/drivers/block"
	"ringo/hv/abi"
)

// kernels are all kernels: nothing is loaded.
type kernels struct{}

func (kernels) Try(loader.Request) error                        { return nil }
func (kernels) Check(loader.Source) (w loader.Wants, err error) { return }
func (kernels) Load(loader.Request, loader.Guest) (abi.VCPUContext, error) {
	return abi.VCPUContext{}, nil
}

// noDevices makes none.
type noDevices struct{}

func (noDevices) Plug(_, _, _ uint32) bool    { return false }
func (noDevices) Refused(uint32) uint32       { return 0 }
func (noDevices) Renew(uint32, [16]byte) bool { return true }
func (noDevices) AskBack(uint32, int) bool    { return false }
func (noDevices) Pull(uint32, int)            {}
func (noDevices) PlugCard(uint32, *lan.Card) (bool, error) {
	return false, problem.New(problem.Full, "", "no room")
}
func (noDevices) PlugDisk(uint32, *storage.Disk) (bool, error) {
	return false, errors.New("no devices")
}
func (noDevices) Attach(domain.Attachment) error { return nil }
func (noDevices) Detach(uint32, bool)            {}
func (noDevices) Forget([16]byte)                {}
func (noDevices) Room() error                    { return nil }
func (noDevices) ExitCode(uint32) (uint32, bool) { return 0, false }
func (noDevices) Fault(uint32) string            { return "" }
func (noDevices) SysRq(uint32, byte) bool        { return true }
func (noDevices) Output(uint32) uint64           { return 5 }
func (noDevices) Log(uint32) []byte              { return []byte("debug\n") }

type memory []byte

func (m memory) Slice(a, n uint64) []byte { return m[a:][:n] }

var clock = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func newAPI(t *testing.T) (*API, *hcalltest.Machine) {
	m := hcalltest.New(256<<20, 4)
	m.Guest = func(c *hcalltest.CPU) { c.WaitIRQ(0) }
	m.SetTrace([]abi.TraceRecord{{TSC: 1000, Domain: 1}, {TSC: 4000, Reason: 1}})
	m.SetExits(1, 10, 21000, 4095)
	mem := memory("kernel" + "name = \"file\"\n[boot]\nkernel = \"boot:vmlinuz\"\n" + "nmae = 5\n")
	mod := func(name string, start, size uint64) (x abi.Module) {
		hcall.SetText(x.Name[:], name)
		x.Start, x.Size = start, size
		return x
	}
	hv, uuid := m.Client(), byte(6)
	manager := domain.New(domain.Options{
		HV: hv, Loader: kernels{}, Devices: noDevices{}, Memory: m, Now: func() time.Time { return clock },
		Files:   files.New(files.Options{Memory: mem, Modules: []abi.Module{mod("vmlinuz", 0, 6), mod("file.toml", 6, 45), mod("bad.toml", 51, 9)}}),
		NewUUID: func() (u [16]byte) { uuid++; u[15] = uuid; return u },
	})
	return &API{Manager: manager, HV: hv, Budget: account.New(64 << 20), Hostname: "ringo", Release: "0.0-test", Now: func() time.Time { return clock }}, m
}

// try calls a verb and returns its error as a view sees it, nil if there is none.
func try[I, O any](v *Verb[I, O]) func(*API, I) *Error {
	return func(a *API, in I) *Error {
		_, err := v.Call(a, in)
		if err == nil {
			return nil
		}
		e, ok := err.(*Error)
		if !ok {
			return &Error{Message: fmt.Sprintf("%T is not an *Error: %v", err, err)}
		}
		return e
	}
}

func web1(settings ...string) Create {
	return Create{Settings: append([]string{"name=web1", "kernel=boot:vmlinuz", "memory=32MiB"}, settings...), Paused: true}
}

func TestKinds(t *testing.T) {
	n, big := 0, 70000
	for _, c := range []struct {
		name         string
		err          func(a *API) *Error
		kind         problem.Kind
		text, remedy string
	}{
		{name: "no domain", err: func(a *API) *Error { return try(DomainShow)(a, Ref{"wbe1"}) },
			kind: problem.NotFound, text: `domain "wbe1" does not exist`, remedy: `did you mean "web1"?`},
		{name: "taken", err: func(a *API) *Error { return try(DomainCreate)(a, web1()) },
			kind: problem.Exists, text: `domain "web1" already exists (id 1)`, remedy: "choose another name, or destroy it"},
		{name: "too large", err: func(a *API) *Error { return try(DomainCheck)(a, web1("name=b", "memory=1GiB")) },
			kind: problem.Full, text: `not enough memory: need 1024 MiB, 223 MiB free; "web1" holds 32 MiB`, remedy: "destroy web1"},
		{name: "no file", err: func(a *API) *Error { return try(DomainCreate)(a, Create{File: "fle.toml"}) },
			kind: problem.NotFound, text: `no file "fle.toml"`, remedy: `did you mean "boot:file.toml"?`},
		{name: "bad file", err: func(a *API) *Error { return try(DomainCreate)(a, Create{File: "bad.toml"}) },
			kind: problem.Invalid, text: `bad.toml:1: unknown key "nmae" (did you mean "name"?)`},
		{name: "bad setting", err: func(a *API) *Error { return try(DomainCreate)(a, web1("vcpus=many")) },
			kind: problem.Invalid, text: `vcpus: "many" is not a whole number`},
		{name: "no setting", err: func(a *API) *Error { return try(DomainCreate)(a, web1("vcpus")) },
			kind: problem.Invalid, text: `"vcpus" is not a setting`, remedy: "write key=value"},
		{name: "bad value", err: func(a *API) *Error { return try(DomainCreate)(a, web1("vcpus=99")) },
			kind: problem.Invalid, text: `vcpus: 99 is out of range: use 1 to 32`},
		{name: "no such CPU", err: func(a *API) *Error { return try(DomainCreate)(a, web1("name=b", "cpus=9")) },
			kind: problem.Invalid, text: `cpus: there is no CPU 9: this machine has CPUs 0 to 3`},
		{name: "later", err: func(a *API) *Error {
			return try(DomainCreate)(a, Create{Settings: []string{"name=b", "firmware=bios"}})
		},
			kind: problem.Unsupported, text: `firmware: booting by firmware is not supported yet: give a kernel`},
		{name: "shutdown", err: func(a *API) *Error {
			_, err := DomainUnpause.Call(a, Ref{"web1"})
			if err != nil {
				return &Error{Message: err.Error()}
			}
			return try(DomainShutdown)(a, Stop{Domain: "web1"})
		},
			kind: problem.Refused, text: `domain "web1" does not listen to its power button`,
			remedy: "do it inside (console web1), wait until it is up, or use shutdown -F web1 or destroy web1"},
		{name: "reboot", err: func(a *API) *Error { return try(DomainReboot)(a, Stop{Domain: "web1"}) },
			kind: problem.Refused, text: `domain "web1" is paused`, remedy: "unpause web1 first"},
		{name: "event", err: func(a *API) *Error { return try(DomainTrigger)(a, Trigger{"web1", "smi", 0}) },
			kind: problem.Invalid, text: `"smi" is not an event`, remedy: "use nmi, init, reset, power, sleep or genid"},
		{name: "dom0", err: func(a *API) *Error { return try(DomainPause)(a, Ref{"0"}) },
			kind: problem.Refused, text: `"Domain-0" is the control domain: it cannot be paused`},
		{name: "bad name", err: func(a *API) *Error { return try(DomainRename)(a, Rename{"web1", "17"}) },
			kind: problem.Invalid, text: `"17" is not a name: it would be taken for an id: add a letter`},
		{name: "weight 0", err: func(a *API) *Error { return try(DomainSched)(a, Sched{"web1", &n, nil}) },
			kind: problem.Invalid, text: "weight 0 is out of range", remedy: "use 1 to 65535"},
		{name: "weight", err: func(a *API) *Error { return try(DomainSched)(a, Sched{"web1", &big, nil}) },
			kind: problem.Invalid, text: "weight 70000 is out of range", remedy: "use 1 to 65535"},
		{name: "action", err: func(a *API) *Error { return try(HostPower)(a, Power{"up"}) },
			kind: problem.Invalid, text: `"up" is not an action`, remedy: "use off or restart"},
		{name: "not defined", err: func(a *API) *Error { return try(DomainAutostart)(a, Autostart{Domain: "web1"}) },
			kind: problem.NotFound, text: `domain "web1" is not defined`, remedy: "define keeps a configuration, of that name too"},
		{name: "no hot plug", err: func(a *API) *Error { return try(DomainResize)(a, Resize{"web1", "vcpus", "2"}) },
			kind: problem.Refused, text: `domain "web1" was made for 1 vCPUs`, remedy: "use 1 to 1, or give it max_vcpus=2 for its next start"},
		{name: "no balloon", err: func(a *API) *Error { return try(DomainResize)(a, Resize{"web1", "memory", "2"}) },
			kind: problem.Unsupported, text: `domain "web1" keeps the memory that it was made with: to change it takes a balloon in the guest, which this version does not have`,
			remedy: "shut it down first"},
		{name: "no size", err: func(a *API) *Error { return try(DomainResize)(a, Resize{"web1", "name", "2"}) },
			kind: problem.Invalid, text: `"name" is not a size`, remedy: "use vcpus or memory"},
		{name: "off", err: func(a *API) *Error {
			if e := try(DomainDefine)(a, web1("name=web2")); e != nil {
				return e
			}
			return try(DomainPause)(a, Ref{"web2"})
		}, kind: problem.Refused, text: `domain "web2" is off`, remedy: "start web2 starts it"},
		{name: "no CPU", err: func(a *API) *Error { return try(HostTrace)(a, CPU{4}) },
			kind: problem.NotFound, text: "there is no CPU 4", remedy: "this machine has CPUs 0 to 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := newAPI(t)
			if e := try(DomainCreate)(a, web1()); e != nil {
				t.Fatal(e)
			}
			e := c.err(a)
			if e == nil || e.Kind != c.kind || e.Message != c.text || e.Remedy != c.remedy {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// What the hypervisor refuses has a kind too, and is still known by its status.
func TestRefusals(t *testing.T) {
	for st, want := range map[abi.Status]problem.Kind{
		abi.Busy: problem.Busy, abi.NoMemory: problem.Full, abi.NoRecord: problem.Full, abi.NoDomain: problem.NotFound, abi.BadArg: problem.Internal,
	} {
		a, m := newAPI(t)
		if e := try(DomainCreate)(a, web1()); e != nil {
			t.Fatal(e)
		}
		m.Fail = func(nr abi.Call, _ int) abi.Status {
			if nr == abi.CallDomPause {
				return st
			}
			return abi.OK
		}
		e := try(DomainPause)(a, Ref{"web1"})
		if e == nil || e.Kind != want || !errors.Is(e, st) {
			t.Errorf("%v: %+v", st, e)
		}
	}
}

// Every verb does what it says, and its reply has a form in JSON without null.
func TestEveryVerb(t *testing.T) {
	a, m := newAPI(t)
	var called []string
	show := func(name string, out any, err error) string {
		t.Helper()
		called = append(called, name)
		b, jerr := json.Marshal(out)
		if err != nil || jerr != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s: %v %v %s", name, err, jerr, b)
		}
		return string(b)
	}
	created, err := DomainCreate.Call(a, Create{File: "file.toml", Settings: []string{"name=web1", "memory=32MiB"}, Paused: true})
	if got := show(DomainCreate.Name, created, err); got != `{"id":1,"name":"web1"}` {
		t.Error(got)
	}
	cfg, err := DomainCheck.Call(a, Create{File: "file.toml", Settings: []string{"memory=32MiB"}})
	if show(DomainCheck.Name, cfg, err); cfg.Name != "file" {
		t.Errorf("%+v", cfg)
	}
	w := 100
	_, err = DomainSched.Call(a, Sched{Domain: "web1", Weight: &w})
	show(DomainSched.Name, None{}, err)
	_, err = DomainRename.Call(a, Rename{"web1", "shop"})
	show(DomainRename.Name, None{}, err)
	d, err := DomainShow.Call(a, Ref{"shop"})
	want := `{"id":1,"name":"shop","uuid":"00000000-0000-0000-0000-000000000007","state":"paused","conditions":["paused"],"boot_stage":"has printed 5 bytes on its console",` +
		`"memory":33423360,"max_memory":33423360,"overhead":135168,"vcpus":1,"max_vcpus":1,"cpu_weight":100,"cap":0,"cpu_time_seconds":0,"exits":0,"forwards":0,` +
		`"started":"2026-11-20T12:00:00Z","config":`
	if got := show(DomainShow.Name, d, err); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = DomainUnpause.Call(a, Ref{"1"})
	show(DomainUnpause.Name, None{}, err)
	_, err = DomainPause.Call(a, Ref{"1"})
	show(DomainPause.Name, None{}, err)
	all, err := DomainList.Call(a, None{})
	if show(DomainList.Name, all, err); len(all) != 2 || !all[0].Control() || all[1].Control() || all[1].State != "paused" {
		t.Errorf("%+v", all)
	}
	exits, err := DomainExits.Call(a, Ref{})
	if show(DomainExits.Name, exits, err); !cmp.Equal(exits, Exits{[]ExitCount{{"io", 10, 21000, 4095}}, 1_000_000}) {
		t.Errorf("%+v", exits)
	}
	tr, err := HostTrace.Call(a, CPU{0})
	if show(HostTrace.Name, tr, err); len(tr) != 2 || tr[0].Before != 1.5e-6 || tr[1].Reason != "io" {
		t.Errorf("%+v", tr)
	}
	h, err := HostShow.Call(a, None{})
	if show(HostShow.Name, h, err); h.Name != "ringo" || h.HWCaps != "078bfbff:80202001" || h.Domains != 2 || h.Dom0Budget == 0 {
		t.Errorf("%+v", h)
	}
	v, err := HostVersion.Call(a, None{})
	show(HostVersion.Name, v, err)
	files, err := FileList.Call(a, Folder{})
	if show(FileList.Name, files, err); len(files) != 3 || files[0] != (File{"boot:bad.toml", 9, ""}) {
		t.Errorf("%+v", files)
	}
	_, err = HostKeys.Call(a, Keys{"h"})
	show(HostKeys.Name, None{}, err)
	log, err := HostLog.Call(a, None{})
	if show(HostLog.Name, log, err); !strings.Contains(log.Text, "debug key 'h'") {
		t.Errorf("%q", log.Text)
	}
	glog, err := DomainLog.Call(a, Ref{"shop"})
	if show(DomainLog.Name, glog, err); glog.Text != "debug\n" {
		t.Errorf("%q", glog.Text)
	}
	_, err = DomainSysRq.Call(a, SysRq{"shop", "h"})
	show(DomainSysRq.Name, None{}, err)
	_, err = DomainPin.Call(a, Pin{"shop", new(uint32), "1-2"})
	show(DomainPin.Name, None{}, err)
	cpus, err := DomainAffinity.Call(a, Ref{"shop"})
	if got := show(DomainAffinity.Name, cpus, err); got != `{"cpus":["1-2"]}` {
		t.Error(got)
	}
	trg, err := DomainTrigger.Call(a, Trigger{"shop", "nmi", 0})
	if show(DomainTrigger.Name, trg, err); !trg.Heard {
		t.Error("nobody hears an NMI")
	}
	_, err = DomainReset.Call(a, Ref{"shop"})
	show(DomainReset.Name, None{}, err)
	_, err = DomainDestroy.Call(a, Ref{"shop"})
	show(DomainDestroy.Name, None{}, err)
	def, err := DomainDefine.Call(a, Create{File: "typed", Text: "memory = 16\n[boot]\nkernel = \"boot:vmlinuz\"\n"})
	if show(DomainDefine.Name, def, err); def != (DefineReply{Name: "typed"}) {
		t.Errorf("%+v", def)
	}
	text, err := DomainText.Call(a, Ref{"typed"})
	if show(DomainText.Name, text, err); !strings.Contains(text.Text, "memory = '16MiB'\n") {
		t.Errorf("%q", text.Text)
	}
	def, err = DomainEdit.Call(a, Edit{Domain: "typed", Text: text.Text, Settings: []string{"vcpus=2"}})
	if show(DomainEdit.Name, def, err); !def.Again {
		t.Errorf("%+v", def)
	}
	last, err := DomainAutostart.Call(a, Autostart{Domain: "typed"})
	if show(DomainAutostart.Name, last, err); last.Lasting {
		t.Error("memory lasts")
	}
	_, err = DomainResize.Call(a, Resize{"typed", "vcpus", "2"})
	show(DomainResize.Name, None{}, err)
	m.Logf("ringo: 2 CPUs\nringo: warning: a\nringo: error: b\nringo: error: c\n")
	st, err := HostStatus.Call(a, None{})
	if show(HostStatus.Name, st, err); st.CPUs != 4 || st.Running != 0 || !slices.Equal(st.Faults, []string{"2 errors in dmesg", "a warning in dmesg"}) {
		t.Errorf("%+v", st)
	}
	created, err = DomainStart.Call(a, Start{Domain: "typed", Paused: true})
	if got := show(DomainStart.Name, created, err); got != `{"id":2,"name":"typed"}` {
		t.Error(got)
	}
	defs, err := DomainDefined.Call(a, None{})
	if show(DomainDefined.Name, defs, err); len(defs) != 1 || !defs[0].Active || !defs[0].Autostart || defs[0].Config.VCPUs != 2 {
		t.Errorf("%+v", defs)
	}
	dump, err := DomainDump.Call(a, Ref{"typed"})
	if show(DomainDump.Name, dump, err); dump.Name != "typed" || len(dump.CPUs) != 2 || len(dump.RAM) != 2 {
		t.Errorf("%+v", dump)
	}
	dumps, err := DumpList.Call(a, None{})
	if show(DumpList.Name, dumps, err); len(dumps) != 1 || dumps[0].Size != dump.Size {
		t.Errorf("%+v", dumps)
	}
	part, err := DumpRead.Call(a, DumpPart{"typed", 0, 4})
	if got := show(DumpRead.Name, part, err); got != `{"bytes":"f0VMRg=="}` {
		t.Error(got)
	}
	_, err = DumpDelete.Call(a, Dumped{"typed"})
	show(DumpDelete.Name, None{}, err)
	_, err = DomainUndefine.Call(a, Ref{"typed"})
	show(DomainUndefine.Name, None{}, err)
	m.PCI = []abi.PCIFunction{{Addr: 0x1_00fa, Class: 0x010601, Vendor: 0x8086, Device: 0x2922, BAR: [6]abi.PCIBAR{5: {Addr: 0xfeb00000, Size: 4096, Flags: abi.BARPresent}}}}
	m.Config = map[abi.PCIAddr]map[uint16]uint32{0x1_00fa: {0: 0x29228086, 4: 1 << 20, 0x34: 0x80, 0x80: 0x00800005}}
	funcs, err := PCIList.Call(a, None{})
	if got := show(PCIList.Name, funcs, err); got != `[{"address":"0001:00:1f.2","class":"SATA controller (AHCI)","class_code":"010601","id":"8086:2922","revision":0,"ranges":[{"bar":5,"start":4272947200,"size":4096}],"bus_master":"off"}]` {
		t.Error(got)
	}
	fn, err := PCIShow.Call(a, PCIRef{"0001:00:1f.2"})
	if show(PCIShow.Name, fn, err); len(fn.Config) != 256 || fn.Config[1] != 0x80 || !slices.Equal(fn.Capabilities, []PCICapability{{ID: 5, Register: 0x80, Name: "MSI", Messages: 1}}) {
		t.Errorf("%+v", fn)
	}
	a.Hardware = withDisk(a.HV, m)
	a.Storage = storage.New(storage.Options{Disks: func() []storage.Source { return []storage.Source{{Name: "d0", Device: a.Hardware.Disk("d0")}} }})
	if _, err := a.Storage.Open(storage.Owner{Name: "Domain-0"}, []config.Disk{{Device: "d0", ReadOnly: true}}); err != nil {
		t.Fatal(err)
	}
	blocks, err := BlockList.Call(a, Ref{"Domain-0"})
	if got := show(BlockList.Name, blocks, err); got != `[{"name":"d0","slot":0,"size":1048576,"read_only":true,"reads":0,"read":0,"writes":0,"written":0,"flushes":0,"errors":0}]` {
		t.Error(got)
	}
	a.Manager.Storage = a.Storage
	if _, err := DomainDefine.Call(a, Create{File: "off", Text: "memory = 16\n[boot]\nkernel = \"boot:vmlinuz\"\n"}); err != nil {
		t.Fatal(err)
	}
	heard, err := BlockAttach.Call(a, BlockPlug{"off", "d0,readonly"})
	if got := show(BlockAttach.Name, heard, err); got != `{"heard":true}` {
		t.Error(got)
	}
	_, err = BlockLimit.Call(a, BlockLimits{"off", "d0", []string{"iops=5"}})
	show(BlockLimit.Name, None{}, err)
	resized, err := BlockResize.Call(a, BlockResizing{Domain: "off", Disk: "d0"})
	show(BlockResize.Name, resized, err)
	_, err = BlockDetach.Call(a, BlockUnplug{Domain: "off", Disk: "d0"})
	show(BlockDetach.Name, None{}, err)
	if _, err := DiskExercise.Call(a, DiskTest{Name: "d0", Size: 1}); err == nil || !strings.Contains(err.Error(), "d0 is in use by") {
		t.Error(err)
	}
	a.Storage = nil
	list, err := DiskList.Call(a, None{})
	if got := show(DiskList.Name, list, err); got != `[{"name":"d0","model":"M","serial":"S","firmware":"","size":1048576,"block_size":512,"cache":false,"state":"ok","reads":0,"writes":0,"flushes":0,"errors":0}]` {
		t.Error(got)
	}
	sum, err := DiskSum.Call(a, DiskPart{Name: "d0", Size: 512})
	if got := show(DiskSum.Name, sum, err); got != `{"sha256":"076a27c79e5ace2a3d47f9dd2e83e4ff6ea8872b3c2218f66c92b89b55f36560","size":512}` {
		t.Error(got)
	}
	tested, err := DiskExercise.Call(a, DiskTest{Name: "d0", Seed: 1, Size: 1 << 20})
	if show(DiskExercise.Name, tested, err); tested.Size < 1<<20 || tested.Failed != 0 || tested.Reads == 0 || tested.Writes == 0 {
		t.Errorf("%+v", tested)
	}
	// Its next part knows what was written.
	if tested, err = DiskExercise.Call(a, DiskTest{Name: "d0", Seed: 1, Size: 1 << 20, Start: tested.Size, Flush: true}); err != nil || tested.Failed != 0 {
		t.Errorf("%+v, %v", tested, err)
	}
	if n := a.Hardware.Disk("d0").Count(block.Flush); n < 2 {
		t.Errorf("%d flushes", n)
	}
	before := a.Hardware.Disk("d0").Count(block.Flush)
	speed, err := DiskMeasure.Call(a, DiskReads{Name: "d0", Size: 4096, Depth: 4, Count: 100})
	if show(DiskMeasure.Name, speed, err); a.Hardware.Disk("d0").Count(block.Read) < 100 {
		t.Error("it has not read")
	}
	_, err = DiskMeasure.Call(a, DiskReads{Name: "d0", Size: 512, Depth: 2, Count: 50, Flush: true})
	if n := a.Hardware.Disk("d0").Count(block.Flush) - before; n != 50 || err != nil {
		t.Errorf("%d flushes, %v", n, err)
	}
	for _, r := range []DiskReads{{"d0", 0, 1, 1, false}, {"d0", 100, 1, 1, false}, {"d0", 4096, 0, 1, false}, {"d0", 4096, 1 << 20, 1, false}, {"d0", 1 << 20, 1, 1, false}, {"d0", -512, 1, 1, false}} {
		if _, err := DiskMeasure.Call(a, r); err == nil {
			t.Errorf("%+v is not refused", r)
		}
	}
	if _, err = DiskSum.Call(a, DiskPart{Name: "d0", Start: 1}); err == nil || !strings.Contains(err.Error(), "not whole blocks") {
		t.Error(err)
	}
	if _, err = DiskSum.Call(a, DiskPart{Name: "d1"}); err == nil || !strings.Contains(err.Error(), "there is no disk \"d1\"") {
		t.Error(err)
	}
	slice, err := HostSlice.Call(a, Slice{0.01})
	if got := show(HostSlice.Name, slice, err); got != `{"seconds":0.01}` {
		t.Error(got)
	}
	networkCalls(t, a, show)
	lanCalls(t, a, show)
	_, err = HostPower.Call(a, Power{Restart})
	if show(HostPower.Name, None{}, err); !cmp.Equal(m.Powered(), []abi.Power{abi.PowerReboot}) {
		t.Error(m.Powered())
	}
	called = append(called, DomainShutdown.Name, DomainReboot.Name) // see TestKinds
	slices.Sort(called)
	if d := cmp.Diff(slices.Sorted(maps.Keys(verbs)), called); d != "" {
		t.Error(d)
	}
}

// memoryDisk is a disk of 1 MiB.
type memoryDisk []byte

func (memoryDisk) Info() block.Info {
	return block.Info{Model: "M", Serial: "S", Blocks: 2048, BlockSize: 512, MaxBlocks: 64}
}
func (memoryDisk) Queues() int { return 1 }
func (d memoryDisk) Submit(_ int, r *block.Request) {
	at := d[r.Start*512:]
	for _, s := range r.Data {
		if r.Op == block.Write {
			copy(at, s.Bytes)
		} else {
			copy(s.Bytes, at)
		}
		at = at[len(s.Bytes):]
	}
	r.Done(r, nil)
}

// withDisk is the devices of a machine with a controller that does not start, and a disk.
func withDisk(hv *hcall.Client, m *hcalltest.Machine) *hardware.Hardware {
	m.PCI = append(m.PCI, abi.PCIFunction{Addr: 8, Class: 0x010802})
	h := hardware.New(hardware.Options{HV: hv, Log: func(string) {}, Memory: func(n int) (uint64, []byte, bool) { return 1 << 20, make([]byte, n), true }})
	h.AddDisk("d0", make(memoryDisk, 1<<20), func() error { return nil })
	h.Start()
	return h
}
