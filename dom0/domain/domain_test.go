// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/loader"
	"ringo/hv/abi"
)

// bootLoader loads a kernel by copying it to 1 MiB.
type bootLoader struct{ fail error }

func (l *bootLoader) Check(k loader.Source) error {
	if k.Size < 4 {
		return fmt.Errorf("kernel %q: not a kernel", k.Name)
	}
	return nil
}

func (*bootLoader) Populate(memory uint64) ([]abi.MemRange, error) { return loader.Populate(memory) }

func (l *bootLoader) Load(r loader.Request, mem loader.Guest) (abi.VCPUContext, error) {
	b := mem.RAM(1<<20, uint64(r.Kernel.Size))
	if _, err := r.Kernel.R.ReadAt(b, 0); err != nil || int64(len(b)) != r.Kernel.Size {
		return abi.VCPUContext{}, errors.New("short memory")
	}
	return abi.VCPUContext{RIP: 1 << 20}, l.fail
}

// devices records attachments.
type devices struct {
	mu       sync.Mutex
	attached map[uint32]Attachment
	log      []string
	fail     error
}

func (d *devices) Attach(a Attachment) ([]Claim, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	d.attached[a.ID] = a
	d.log = append(d.log, fmt.Sprintf("attach %d %s", a.ID, a.Name))
	return []Claim{{abi.SpacePort, 0x3f8, 8}, {abi.SpacePort, 0x70, 2}}, nil
}

func (d *devices) Detach(id uint32, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.attached[id]; ok {
		d.log = append(d.log, fmt.Sprintf("detach %d again=%v", id, again))
	}
	delete(d.attached, id)
}

// fileMem is where the boot modules lie.
type fileMem []byte

func (f fileMem) Slice(a, n uint64) []byte { return f[a:][:n] }

type rig struct {
	t *testing.T
	*hcalltest.Machine
	*Manager
	dev    *devices
	load   *bootLoader
	mu     sync.Mutex
	notes  []string
	noted  chan bool
	clock  time.Time
	nextID byte
}

func newRig(t *testing.T) *rig {
	r := &rig{
		t: t, Machine: hcalltest.New(256<<20, 4), dev: &devices{attached: map[uint32]Attachment{}},
		load: &bootLoader{}, noted: make(chan bool, 100), clock: time.Unix(1_800_000_000, 0).UTC(),
	}
	r.Manager = r.manager()
	r.Upcall = func() {
		for _, p := range r.Pending() {
			if p == abi.PortDomainState {
				r.StateChanged()
			}
		}
	}
	return r
}

// manager makes a toolstack on the machine, as a new dom0 does.
func (r *rig) manager() *Manager {
	mem := fileMem("KERNELxxinitrd..bad")
	mod := func(name string, start, size uint64) (m abi.Module) {
		hcall.SetText(m.Name[:], name)
		m.Start, m.Size = start, size
		return m
	}
	return New(Options{
		HV: r.Client(), Loader: r.load, Devices: r.dev, Memory: r.Machine,
		Files: NewModules(mem, []abi.Module{mod("vmlinuz", 0, 8), mod("initrd.gz", 8, 8), mod("bad", 16, 3)}),
		Notify: func(s string) {
			r.mu.Lock()
			r.notes = append(r.notes, s)
			r.mu.Unlock()
			r.noted <- true
		},
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.clock
		},
		NewUUID: func() (u [16]byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.nextID++
			u[15] = r.nextID
			return u
		},
	})
}

func (r *rig) cfg(name string, mib uint64) *config.Config {
	c := config.Default()
	c.Name, c.Memory = name, config.Size{Bytes: mib << 20}
	c.Boot.Kernel, c.Boot.Initrd = "boot:vmlinuz", "boot:initrd.gz"
	return c
}

func (r *rig) wantClean(free uint64) {
	r.t.Helper()
	ids, mapped := r.Leaks()
	if r.Free() != free || len(ids) != 0 || len(mapped) != 0 || len(r.dev.attached) != 0 {
		r.t.Errorf("leaked: %d bytes, domains %v, mapped %v, devices %v", free-r.Free(), ids, mapped, r.dev.attached)
	}
	r.Manager.mu.Lock()
	defer r.Manager.mu.Unlock()
	if len(r.doms) != 0 || len(r.making) != 0 {
		r.t.Errorf("left: %v %v", r.doms, r.making)
	}
}

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
	if _, mapped := r.Leaks(); len(mapped) != 0 {
		t.Error("the guest's memory stays mapped in dom0")
	}
	in, err := r.Find("web1")
	if err != nil || in.ID != id || in.Weight != 100 || in.VCPUs != 2 || in.State != abi.StateBlocked {
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
		abi.CallHost, abi.CallDomCreate, abi.CallDomPopulate, abi.CallDomMap, abi.CallDomUnmap, abi.CallDomSetVCPU,
		abi.CallDomClaim, abi.CallDomUnpause, abi.CallDomInfo, abi.CallDomSetRecord,
	}
	for _, nr := range want {
		if failed[nr] == 0 {
			t.Errorf("call %#x was never made to fail", nr)
		}
	}
	if failed[abi.CallDomPopulate] < 10 || failed[abi.CallDomClaim] != 2 {
		t.Errorf("not every step failed: %v", failed)
	}
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
			`not enough memory: need 512 MiB, 224 MiB free; "old" holds 32 MiB (destroy old)`},
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
		}, "the table of domains is full: destroy one first"},
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
		{"disk", func(r *rig, c *config.Config) { c.Disk = []config.Disk{{Volume: "x"}} }, "disk: disks are not supported yet"},
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
	if err := r.Check(r.cfg("a", 640)); err == nil || !strings.Contains(err.Error(), "give it less (memory=256MiB)") {
		t.Error(err)
	}
	if err := r.Check(r.cfg("Domain-0", 64)); err == nil {
		t.Error("dom0's name accepted")
	}
	r.wantClean(free)
}

func TestFind(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"web1", "web2", "7"} {
		if _, err := r.Create(r.cfg(n, 16), true); err != nil {
			t.Fatal(err)
		}
	}
	for ref, id := range map[string]uint32{"web2": 2, "1": 1, "7": 3, "Domain-0": 0, "0": 0} {
		if in, err := r.Find(ref); err != nil || in.ID != id {
			t.Errorf("%s: %d %v", ref, in.ID, err)
		}
	}
	for ref, want := range map[string]string{
		"wbe2": `domain "wbe2" does not exist (did you mean "web2"?)`,
		"mail": `domain "mail" does not exist: list shows what there is`,
		"9999": `domain "9999" does not exist: list shows what there is`,
	} {
		if _, err := r.Find(ref); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for _, f := range []func() error{
		func() error { return r.Destroy("0") }, func() error { return r.Pause("Domain-0") },
		func() error { return r.Rename("0", "x") }, func() error { return r.Unpause("0") },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "control domain") {
			t.Error(err)
		}
	}
}

func TestChange(t *testing.T) {
	r := newRig(t)
	if _, err := r.Create(r.cfg("a", 16), false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(r.cfg("b", 16), false); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename("a", "b"); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Error(err)
	}
	if err := r.Rename("a", "B"); err == nil {
		t.Error("bad name accepted")
	}
	for _, err := range []error{r.Pause("a"), r.Rename("a", "c"), r.SetSched("c", 77, 50), r.SetSched("0", 0, 10)} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{r.SetSched("c", 70000, 0), r.SetSched("c", 0, 101), r.SetSched("a", 1, 1)} {
		if err == nil {
			t.Error("accepted")
		}
	}
	in, err := r.Find("c")
	if err != nil || in.State != abi.StatePaused || in.Weight != 77 || in.Cap != 50 || in.Config.Name != "c" || in.Config.Cap != 50 {
		t.Errorf("%+v %v", in, err)
	}
	// The record followed: the next dom0 sees the same.
	m := r.manager()
	if err := m.Adopt(); err != nil {
		t.Fatal(err)
	}
	again, err := m.Find("c")
	if d := cmp.Diff(in, again); err != nil || d != "" {
		t.Error(err, d)
	}
	if err := r.Unpause("c"); err != nil {
		t.Error(err)
	}
}

// await waits for n notes and returns them.
func (r *rig) await(n int) []string {
	r.t.Helper()
	for i := range n {
		select {
		case <-r.noted:
		case <-time.After(10 * time.Second):
			r.t.Fatalf("note %d of %d did not come: %q", i+1, n, r.notes)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.notes...)
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		end    func(*hcalltest.CPU)
		notes  []string
		left   int
	}{
		{"poweroff", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownPoweroff) },
			[]string{`domain "a" has powered off: destroyed`}, 0},
		{"poweroff preserve", func(c *config.Config) { c.OnPoweroff = config.Preserve },
			func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownPoweroff) },
			[]string{`domain "a" has powered off: kept (destroy a frees it)`}, 1},
		{"crash", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Crash("triple fault at 0x1234") },
			[]string{`domain "a" crashed: triple fault at 0x1234: destroyed`}, 0},
		{"reboot once", func(c *config.Config) {}, nil,
			[]string{`domain "a" reboots: restarting`, `domain "a" has powered off: destroyed`}, 0},
		{"reboot forever", func(c *config.Config) {}, func(c *hcalltest.CPU) { c.Shutdown(abi.ShutdownReboot) },
			[]string{
				`domain "a" reboots: restarting`, `domain "a" reboots: restarting`, `domain "a" reboots: restarting`,
				`domain "a" reboots: restarting`, `domain "a" reboots: restarting`,
				`domain "a" reboots for the 6th time within seconds: not restarted: kept (destroy a frees it)`,
			}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			free := r.Free()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go r.Run(ctx)
			boots := 0
			r.Guest = c.end
			if c.end == nil {
				r.Guest = func(cpu *hcalltest.CPU) {
					if boots++; boots == 1 {
						cpu.Shutdown(abi.ShutdownReboot)
					}
					cpu.Shutdown(abi.ShutdownPoweroff)
				}
			}
			cfg := r.cfg("a", 16)
			c.change(cfg)
			if _, err := r.Create(cfg, false); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.notes, r.await(len(c.notes))); d != "" {
				t.Error(d)
			}
			if ids, _ := r.Leaks(); len(ids) != c.left {
				t.Errorf("domains left: %v", ids)
			}
			if c.left == 1 {
				if err := r.Destroy("a"); err != nil {
					t.Error(err)
				}
			}
			r.wantClean(free)
			if c.name == "reboot once" {
				want := []string{"attach 1 a", "detach 1 again=true", "attach 2 a", "detach 2 again=false"}
				if d := cmp.Diff(want, r.dev.log); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// A restart that is impossible ends the domain and says so.
func TestRestartFails(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	r.Guest = func(c *hcalltest.CPU) {
		r.dev.mu.Lock()
		r.dev.fail = errors.New("no room for devices")
		r.dev.mu.Unlock()
		c.Shutdown(abi.ShutdownReboot)
	}
	if _, err := r.Create(r.cfg("a", 16), false); err != nil {
		t.Fatal(err)
	}
	want := []string{`domain "a" reboots: restarting`,
		`error: domain "a" is gone, it could not be restarted: no room for devices`}
	if d := cmp.Diff(want, r.await(2)); d != "" {
		t.Error(d)
	}
	r.wantClean(free)
}

// A new dom0 finds whole domains running and removes half-made ones.
func TestAdopt(t *testing.T) {
	r := newRig(t)
	if _, err := r.Create(r.cfg("whole", 16), false); err != nil {
		t.Fatal(err)
	}
	hv := r.Client()
	half := abi.CreateArgs{VCPUs: 1, MaxBytes: 1 << 20}
	hcall.SetText(half.Name[:], "half")
	foreign := half
	hcall.SetText(foreign.Name[:], "foreign")
	for _, a := range []*abi.CreateArgs{&half, &foreign} {
		if err := hv.Create(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := hv.SetRecord(foreign.ID, []byte(`{"v":99}`)); err != nil {
		t.Fatal(err)
	}
	r.dev.attached = map[uint32]Attachment{}
	m := r.manager()
	if err := m.Adopt(); err != nil {
		t.Fatal(err)
	}
	want := []string{`domain "half" was half-made or half-destroyed: destroyed`,
		`error: domain "foreign": its record has version 99, this toolstack knows 1`}
	if d := cmp.Diff(want, r.await(2)); d != "" {
		t.Error(d)
	}
	ids, _ := r.Leaks()
	if d := cmp.Diff([]uint32{1, 3}, ids); d != "" || len(r.dev.attached) != 2 {
		t.Error(d, r.dev.attached)
	}
	if in, err := m.Find("whole"); err != nil || in.Config.Boot.Kernel != "boot:vmlinuz" || !in.Started.Equal(r.clock) {
		t.Errorf("%+v %v", in, err)
	}
	for _, n := range []string{"whole", "foreign"} {
		if err := m.Destroy(n); err != nil {
			t.Error(err)
		}
	}
}

// A domain that vanished behind the toolstack's back loses its devices.
func TestLost(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	id, err := r.Create(r.cfg("a", 16), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Client().Destroy(id, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	r.wantClean(free)
}

// Many creations, lists and destructions at once: names stay unique, nothing
// leaks.
func TestConcurrent(t *testing.T) {
	r := newRig(t)
	free := r.Free()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx)
	var wg sync.WaitGroup
	var won sync.Map
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				name := fmt.Sprintf("d%d", (i+j)%4)
				if _, err := r.Create(r.cfg(name, 8), j%2 == 0); err == nil {
					if _, twice := won.LoadOrStore(name, i); twice {
						t.Errorf("%s exists twice", name)
					}
					_, _ = r.List()
					won.Delete(name)
					if err := r.Destroy(name); err != nil {
						t.Error(err)
					}
				} else if !strings.Contains(err.Error(), "already") {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r.wantClean(free)
}

func TestReadConfig(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"boot:initrd.gz", "initrd.gz"} {
		if b, err := r.ReadConfig(n); err != nil || string(b) != "initrd.." {
			t.Error(string(b), err)
		}
	}
	for n, want := range map[string]string{
		"initrd.gx":      `(did you mean "boot:initrd.gz"?)`,
		"boot:initrd.gx": `(did you mean "boot:initrd.gz"?)`,
		"nope":           `no file "boot:nope": the command files lists what there is`,
	} {
		if _, err := r.ReadConfig(n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", n, err)
		}
	}
}
