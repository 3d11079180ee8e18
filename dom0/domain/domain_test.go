// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/files"
	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/loader"
	"ringo/dom0/network/lan"
	"ringo/dom0/storage"
	"ringo/hv/abi"
)

// bootLoader loads a kernel by copying it to 1 MiB.
type bootLoader struct {
	fail  error
	wants loader.Wants
	mu    sync.Mutex
	gate  func() // called before each load, nil: nothing
}

func (l *bootLoader) Check(k loader.Source) (loader.Wants, error) {
	if k.Size < 4 {
		return loader.Wants{}, fmt.Errorf("kernel %q: not a kernel", k.Name)
	}
	return l.wants, nil
}

func (l *bootLoader) Try(r loader.Request) error { return l.fail }

func (l *bootLoader) Load(r loader.Request, mem loader.Guest) (abi.VCPUContext, error) {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		gate()
	}
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
	full     error // of Room
	output   uint64
	plug     func(id, want, running uint32) bool // nil: no guest listens
	refused  uint32
	disks    map[int]closer // disks and cards, by slot
	ack      func() bool    // whether guests give back a disk; nil: no guest listens
}

func (d *devices) Plug(id, want, running uint32) bool {
	return d.plug != nil && d.plug(id, want, running)
}

func (d *devices) Renew(id uint32, g [board.GenerationSize]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	copy(d.attached[id].Memory.RAM(board.GenerationAt, board.GenerationSize), g[:])
	return d.plug != nil
}

func (d *devices) Refused(uint32) uint32 { return d.refused }

type closer interface{ Close() }

func (d *devices) PlugDisk(id uint32, x *storage.Disk) (bool, error) { return d.plugIn(id, x.Slot, x) }
func (d *devices) PlugCard(id uint32, x *lan.Card) (bool, error)     { return d.plugIn(id, x.Slot, x) }

func (d *devices) plugIn(id uint32, slot int, x closer) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		x.Close()
		return false, d.fail
	}
	d.disks[slot] = x
	d.log = append(d.log, fmt.Sprintf("plug %d %d", id, slot))
	return d.ack != nil, nil
}

func (d *devices) AskBack(id uint32, slot int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, fmt.Sprintf("ask %d %d", id, slot))
	if d.ack != nil && d.ack() {
		d.disks[slot].Close()
		d.attached[id].Emptied(slot)
	}
	return d.ack != nil
}

func (d *devices) Pull(id uint32, slot int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.disks[slot].Close()
	d.log = append(d.log, fmt.Sprintf("pull %d %d", id, slot))
}

func (d *devices) Attach(a Attachment) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.attached[a.ID] = a
	for _, x := range a.Disks {
		d.disks[x.Slot] = x
	}
	for _, x := range a.Cards {
		d.disks[x.Slot] = x
	}
	d.log = append(d.log, fmt.Sprintf("attach %d %s", a.ID, a.Name))
	return nil
}

// ExitCode is 7 for a domain named "coded".
func (d *devices) ExitCode(id uint32) (uint32, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return 7, d.attached[id].Name == "coded"
}

// Fault is that of a domain named "broken".
func (d *devices) Fault(id uint32) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attached[id].Name == "broken" {
		return "a device of it failed"
	}
	return ""
}

func (d *devices) SysRq(_ uint32, key byte) bool { return key == 'h' }

func (d *devices) Output(uint32) uint64 { return d.output }

func (d *devices) Log(uint32) []byte { return nil }

func (d *devices) Room() error { return d.full }

func (d *devices) Detach(id uint32, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.attached[id]; ok {
		d.log = append(d.log, fmt.Sprintf("detach %d again=%v", id, again))
		for _, x := range d.disks {
			x.Close()
		}
		clear(d.disks)
	}
	delete(d.attached, id)
}

func (d *devices) Forget(uuid [16]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, fmt.Sprintf("forget %d", uuid[15]))
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
		t: t, Machine: hcalltest.New(256<<20, 4), dev: &devices{attached: map[uint32]Attachment{}, disks: map[int]closer{}},
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
	mem := fileMem("KERNELxxinitrd..badKERNELxy")
	mod := func(name string, start, size uint64) (m abi.Module) {
		hcall.SetText(m.Name[:], name)
		m.Start, m.Size = start, size
		return m
	}
	return New(Options{
		HV: r.Client(), Loader: r.load, Devices: r.dev, Memory: r.Machine,
		Files: files.New(files.Options{Memory: mem, Modules: []abi.Module{mod("vmlinuz", 0, 8), mod("initrd.gz", 8, 8), mod("bad", 16, 3), mod("other", 19, 8)}}),
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

func TestFind(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"web1", "web2"} {
		if _, err := r.Create(r.cfg(n, 16), true); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []func(string) error{
		func(s string) error { _, err := r.Create(r.cfg(s, 16), true); return err },
		func(s string) error { return r.Rename("web2", s) },
	} {
		if err := f("1"); err == nil || !strings.Contains(err.Error(), "taken for an id") {
			t.Errorf("a name that hides an id: %v", err)
		}
	}
	// Other toolstacks may have made such a domain.
	a := abi.CreateArgs{VCPUs: 1, MaxBytes: 1 << 20}
	hcall.SetText(a.Name[:], "2")
	if err := r.Client().Create(&a); err != nil {
		t.Fatal(err)
	}
	for ref, id := range map[string]uint32{"web2": 2, "1": 1, "2": 2, "3": 3, "Domain-0": 0, "0": 0} {
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
	if err != nil || !slices.Equal(in.Conditions, []Condition{Paused}) || in.Weight != 77 || in.Cap != 50 || in.Config.Name != "c" || in.Config.Cap != 50 {
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

// Where vCPUs run is part of the configuration.
func TestPin(t *testing.T) {
	r := newRig(t)
	r.Reserved = 1
	c := r.cfg("a", 16)
	c.VCPUs = 2
	id, err := r.Create(c, false)
	if err != nil {
		t.Fatal(err)
	}
	check := func(cpus string, want ...string) {
		t.Helper()
		got, err := r.Affinity("a")
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Error(err, d)
		}
		if in, err := r.Find("a"); err != nil || in.Config.CPUs != cpus {
			t.Errorf("cpus = %q, want %q; %v", in.Config.CPUs, cpus, err)
		}
	}
	check("", "1-3", "1-3")
	for _, err := range []error{r.Pin("a", AllVCPUs, "2-3"), r.Pin("a", 1, "1"), r.Pin("0", 0, "3")} {
		if err != nil {
			t.Error(err)
		}
	}
	check("2-3/1", "2-3", "1")
	if err := r.restart(r.doms[id]); err != nil {
		t.Fatal(err)
	}
	check("2-3/1", "2-3", "1")
	for _, c := range []struct {
		vcpu            uint32
		cpus, want, fix string
	}{
		{1, "0-2", "CPUs 0 are the hypervisor's own (hv_cpus=)", "use CPUs of 1-3"},
		{AllVCPUs, "4", "there is no CPU 4", ""},
		{0, "some", "not a set of CPUs", ""},
		{2, "1", "domain \"a\" has no vCPU 2", "use 0 to 1, or all"},
	} {
		if err := r.Pin("a", c.vcpu, c.cpus); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.fix) {
			t.Errorf("%s: %v", c.cpus, err)
		}
	}
	check("2-3/1", "2-3", "1")
	if err := r.Pin("a", 1, "2-3"); err != nil {
		t.Error(err)
	}
	check("2-3", "2-3", "2-3")
	if err := r.Pin("a", AllVCPUs, "all"); err != nil {
		t.Error(err)
	}
	check("all", "1-3", "1-3")
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
		"nope":           `no file "nope": the command files lists what there is`,
	} {
		if _, err := r.ReadConfig(n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// has reports whether the devices of a domain are attached.
func (d *devices) has(id uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.attached[id]
	return ok
}
