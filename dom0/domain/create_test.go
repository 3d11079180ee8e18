// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/loader"
	"ringo/dom0/network/lan"
	"ringo/hv/abi"
)

func TestCreateAndDestroy(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	started := make(chan abi.VCPUContext, 1)
	r.Guest = func(c *hcalltest.CPU) {
		if string(c.Memory(1 << 20)[:6]) != "KERNEL" {
			t.Error("the kernel is not in memory")
		}
		started <- c.Context()
		c.WaitIRQ(0)
	}
	c := r.cfg("web1", 64)
	c.VCPUs, c.CPUWeight, c.CPUs = 2, 100, "0-1"
	id, err := r.Create(c, false)
	if err != nil {
		t.Fatal(err)
	}
	if x := <-started; x.RIP != 1<<20 || x.Online != 1 {
		t.Errorf("started with %+v", x)
	}
	if !r.Claimed(id, 0x3f8) || !r.Claimed(id, 0x71) || r.Claimed(id, 0x80) {
		t.Error("claims")
	}
	if _, mapped := r.Leaks(); len(mapped) != 1 {
		t.Error("the guest's memory is not mapped in dom0")
	}
	in, err := r.Find("web1")
	if err != nil || in.ID != id || in.Weight != 100 || in.VCPUs != 2 || !slices.Equal(in.Conditions, []Condition{Blocked}) {
		t.Errorf("%+v %v", in, err)
	}
	want := *c
	want.UUID = "00000000-0000-0000-0000-000000000001"
	if d := cmp.Diff(&want, in.Config); d != "" || !in.Started.Equal(r.clock) {
		t.Error(d, in.Started)
	}
	if c.UUID != "" {
		t.Error("the caller's configuration changed")
	}
	if err := r.Destroy("web1"); err != nil {
		t.Fatal(err)
	}
	r.wantClean(free)
}

// Whichever hypercall of a creation fails, and however often it succeeded
// before, nothing is left.
func TestCreateFailsAnywhere(t *testing.T) {
	failed := map[abi.Call]int{}
	for nr := abi.CallBase; nr < abi.CallEnd; nr++ {
		for n := 0; ; n++ {
			r := newRig(t)
			free, hit := r.Free(), false
			r.Fail = func(c abi.Call, i int) abi.Status {
				if c == nr && i == n && nr != abi.CallDomDestroy {
					hit = true
					return abi.Busy
				}
				return abi.OK
			}
			id, err := r.Create(r.cfg("web1", 64), false)
			if !hit {
				if err != nil {
					t.Fatalf("%v though nothing failed", err)
				}
				break
			}
			failed[nr]++
			if err == nil || id != 0 || !errors.Is(err, abi.Busy) || strings.Contains(err.Error(), "\n") {
				t.Errorf("call %#x, time %d: id %d, error %v", nr, n, id, err)
			}
			r.wantClean(free)
			r.Fail = nil
			if _, err := r.Create(r.cfg("web1", 64), false); err != nil {
				t.Errorf("the next creation fails: %v", err)
			}
		}
	}
	want := []abi.Call{
		abi.CallHost, abi.CallDomCreate, abi.CallDomPopulate, abi.CallDomMap, abi.CallDomSetVCPU,
		abi.CallDomClaim, abi.CallDomUnpause, abi.CallDomSetRecord,
	}
	for _, nr := range want {
		if failed[nr] == 0 {
			t.Errorf("call %#x was never made to fail", nr)
		}
	}
	if failed[abi.CallDomPopulate] < 10 || failed[abi.CallDomClaim] != 14 {
		t.Errorf("not every step failed: %v", failed)
	}
}

// A domain that is being made is found by its name; who destroys it waits until it is made.
func TestDestroyWhileMade(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	loading, loaded := make(chan bool), make(chan bool)
	r.load.gate = func() {
		loading <- true
		<-loaded
	}
	made, destroyed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.Create(r.cfg("web", 16), false)
		made <- err
	}()
	<-loading
	r.Manager.mu.Lock()
	d := r.doms[1]
	r.Manager.mu.Unlock()
	if d == nil || d.op.TryLock() {
		t.Fatal("a domain whose kernel is being loaded is anybody's")
	}
	go func() { destroyed <- r.Destroy("web") }()
	loaded <- true
	if err := <-made; err != nil {
		t.Error(err)
	}
	if err := <-destroyed; err != nil {
		t.Error(err)
	}
	r.wantClean(free)
}

// When even undoing fails, the user is told what remains and can remove it.
func TestUndoFails(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	r.Fail = func(c abi.Call, i int) abi.Status {
		if c == abi.CallDomUnpause || c == abi.CallDomDestroy && i == 0 {
			return abi.Busy
		}
		return abi.OK
	}
	_, err := r.Create(r.cfg("web1", 64), false)
	want := `cannot create "web1": unpause domain 1: domain is busy; ` +
		`and what was made of it remains, use destroy 1: destroy domain 1: domain is busy`
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if err := r.Destroy("1"); err != nil {
		t.Fatal(err)
	}
	r.wantClean(free)
}

func TestCreateErrors(t *testing.T) {
	type change = func(r *rig, c *config.Config)
	for _, c := range []struct {
		name   string
		change change
		want   string
	}{
		{"name taken", func(r *rig, c *config.Config) { c.Name = "old" },
			`domain "old" already exists (id 1): choose another name, or destroy it`},
		{"no memory", func(r *rig, c *config.Config) { c.Memory.Bytes = 512 << 20 },
			`not enough memory: need 512 MiB, 223 MiB free; "old" holds 32 MiB (destroy old)`},
		{"no memory in time", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomPopulate && n > 20 {
					return abi.NoMemory
				}
				return abi.OK
			}
			c.Memory.Bytes = 200 << 20
		}, `not enough memory: need 200 MiB, `},
		{"no slot", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomCreate {
					return abi.NoSlot
				}
				return abi.OK
			}
			r.Machine.Host.NumDomains = abi.MaxDomains
		}, "the table of domains is full (256, with dom0): destroy one first"},
		{"no identifiers", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomCreate {
					return abi.NoSlot
				}
				return abi.OK
			}
		}, "this processor has no identifiers for more vCPUs: destroy a domain, or give this one fewer vcpus"},
		{"no record", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomCreate {
					return abi.NoRecord
				}
				return abi.OK
			}
		}, `no room for "new": the hypervisor's own memory is full: destroy a domain, or boot with a larger pool=`},
		{"no record in time", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomClaim {
					return abi.NoRecord
				}
				return abi.OK
			}
			c.VCPUs = 4
		}, `no room for "new": the hypervisor's own memory is full: give it fewer vcpus, destroy a domain, or`},
		{"dom0 is full", func(r *rig, c *config.Config) { r.dev.full = errors.New("no room") },
			"no room"},
		{"name taken in time", func(r *rig, c *config.Config) {
			r.Fail = func(nr abi.Call, n int) abi.Status {
				if nr == abi.CallDomCreate {
					return abi.Exists
				}
				return abi.OK
			}
		}, `domain "new" already exists: choose another name, or destroy it`},
		{"no kernel", func(r *rig, c *config.Config) { c.Boot = config.Boot{} },
			"kernel: missing: give kernel=boot:NAME (the command files lists what there is)"},
		{"prefix forgotten", func(r *rig, c *config.Config) { c.Boot.Kernel = "vmlinuz" },
			`kernel: no file "vmlinuz" (did you mean "boot:vmlinuz"?)`},
		{"misspelt", func(r *rig, c *config.Config) { c.Boot.Initrd = "boot:initrd.gx" },
			`initrd: no file "boot:initrd.gx" (did you mean "boot:initrd.gz"?)`},
		{"nothing near", func(r *rig, c *config.Config) { c.Boot.Kernel = "boot:nope" },
			`kernel: no file "boot:nope": the command files lists what there is`},
		{"bad kernel", func(r *rig, c *config.Config) { c.Boot.Kernel = "boot:bad" }, `kernel "boot:bad": not a kernel`},
		{"load fails", func(r *rig, c *config.Config) { r.load.fail = errors.New("kernel: damaged") }, "kernel: damaged"},
		{"devices fail", func(r *rig, c *config.Config) { r.dev.fail = errors.New("no room for devices") }, "no room for devices"},
		{"little memory", func(r *rig, c *config.Config) { c.Memory.Bytes = 1 << 20 }, "memory: guest memory of 1 MiB is out of range"},
		{"cpu", func(r *rig, c *config.Config) { c.CPUs = "4" }, "cpus: there is no CPU 4: this machine has CPUs 0 to 3"},
		{"invalid", func(r *rig, c *config.Config) { c.VCPUs = 0 }, "vcpus: 0 is out of range"},
		{"disk", func(r *rig, c *config.Config) { c.Disk = []config.Disk{{Volume: "x"}} }, "disk 1: volume: volumes are not supported yet"},
		{"no storage", func(r *rig, c *config.Config) { c.Disk = []config.Disk{{Device: "vd0"}} }, "disk: there are no disks for domains"},
		{"no networks", func(r *rig, c *config.Config) { c.NIC = []config.NIC{{}} }, "nic: there are no networks for domains: remove [[nic]]"},
		{"no network", func(r *rig, c *config.Config) {
			r.Networks = lan.New(lan.Options{})
			c.NIC = []config.NIC{{Network: "private:a"}, {Network: "bridge:net9"}}
		}, `nic 2: network: this machine has no network card "net9"`},
		{"uuid taken", func(r *rig, c *config.Config) { c.UUID = "00000000-0000-0000-0000-000000000001" },
			`uuid: domain "old" has it: leave it out to get a new one`},
		{"record too large", func(r *rig, c *config.Config) { c.Boot.Cmdline = strings.Repeat("\"", 2040) },
			"the configuration is too large to store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			empty := r.Free()
			if _, err := r.Create(r.cfg("old", 32), true); err != nil {
				t.Fatal(err)
			}
			free := r.Free()
			cfg := r.cfg("new", 64)
			c.change(r, cfg)
			_, err := r.Create(cfg, false)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if r.Free() != free || len(r.dev.attached) != 1 {
				t.Errorf("%d bytes leaked", free-r.Free())
			}
			r.Fail = nil
			if err := r.Destroy("old"); err != nil {
				t.Error(err)
			}
			r.wantClean(empty)
		})
	}
}

// Check refuses what Create would refuse, and changes nothing.
func TestCheck(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	if err := r.Check(r.cfg("a", 64)); err != nil {
		t.Error(err)
	}
	r.load.fail = errors.New("no such format")
	if err := r.Check(r.cfg("a", 64)); !errors.Is(err, r.load.fail) {
		t.Errorf("what the loader would refuse is accepted: %v", err)
	}
	r.load.fail = nil
	if err := r.Check(r.cfg("a", 640)); err == nil || !strings.Contains(err.Error(), "give it less (memory=256MiB)") {
		t.Error(err)
	}
	if err := r.Check(r.cfg("Domain-0", 64)); err == nil {
		t.Error("dom0's name accepted")
	}
	r.wantClean(free)
}

// hypervisor = "kvm" asks for KVM's CPUID leaves at the base, and so does a kernel with
// a PVH note, which has its memory where it is linked to.
func TestHypervisor(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name  string
		wants loader.Wants
		flags uint32
		start uint64 // of the last memory
	}{
		{"", loader.Wants{}, 0, 0xc0000},
		{config.Ringo, loader.Wants{PVH: true, Start: 0x1010000}, 0, 0xc0000},
		{config.KVM, loader.Wants{}, abi.CreateKVM, 0xc0000},
		{"", loader.Wants{PVH: true, Start: 0x10010000}, abi.CreateKVM, 0x10000000},
	} {
		c := r.cfg("a", 64)
		c.Hypervisor, r.load.wants = tt.name, tt.wants
		id, err := r.Create(c, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Flags(id); got != tt.flags {
			t.Errorf("%+v: flags %#x", tt, got)
		}
		ram := r.dev.attached[id].Machine.RAM()
		if last := ram[len(ram)-1]; last.Start != tt.start {
			t.Errorf("%+v: memory %+v", tt, last)
		}
		if err := r.Destroy("a"); err != nil {
			t.Fatal(err)
		}
	}
}

// topology reaches the hypervisor and the tables; one that does not fit is refused.
func TestTopology(t *testing.T) {
	r := newRig(t)
	c := r.cfg("a", 64)
	c.VCPUs, c.Topology = 4, "2:1:2"
	id, err := r.Create(c, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Topology(id), (abi.Topology{Cores: 1, Threads: 2}); got != want {
		t.Errorf("%+v", got)
	}
	c = r.cfg("b", 64)
	c.VCPUs, c.Topology = 4, "2:1:1"
	if _, err := r.Create(c, true); err == nil || err.Error() != `topology: "2:1:1" makes 2 CPUs, and there are 4 (max_vcpus, or else vcpus): make them equal` {
		t.Error(err)
	}
}
