// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package domain is the core of the toolstack: it makes, finds, changes and ends
// domains, and acts when one stops by itself. The hypervisor is the source of
// truth: which domains exist, their names, states and memory are asked for each
// time. What is kept here (configuration, device models) can be rebuilt from
// the record stored with each domain, so that dom0 may be restarted.
//
// Making a domain is all or nothing: whichever step fails, everything before it
// is undone. Errors are one line for the user: what is wrong and what to do.
package domain

import (
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"ringo/dom0/account"
	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/loader"
	"ringo/dom0/network/lan"
	"ringo/dom0/storage"
	"ringo/dom0/store"
	"ringo/hv/abi"
)

// Loader puts an operating system into a domain's memory; see [Images].
type Loader interface {
	// Check looks at the beginning of a kernel.
	Check(kernel loader.Source) (loader.Wants, error)
	// Try returns the error that Load would return, as far as can be told without
	// a domain.
	Try(r loader.Request) error
	Load(r loader.Request, mem loader.Guest) (abi.VCPUContext, error)
}

// Memory reaches physical memory that is mapped into dom0.
type Memory interface {
	Slice(addr, size uint64) []byte
}

// Devices makes the device models of domains and answers their accesses.
type Devices interface {
	// Room returns why dom0's memory has no room for the models of another
	// domain, nil when it has.
	Room() error
	// Attach makes the models of a domain, new or adopted, for the devices of its
	// machine. Accesses may come from now on.
	Attach(a Attachment) error
	// Detach drops the models of a domain, and returns when nothing uses its
	// memory any more; of an unknown one it does nothing.
	// again says that the same domain (by UUID) will be attached once more
	// under another id, so that what outlives a restart is kept.
	Detach(id uint32, again bool)
	// ExitCode returns the code with which a guest ended itself, if it did.
	ExitCode(id uint32) (code uint32, ok bool)
	// Fault says how the devices of a guest failed, "" if they did not.
	Fault(id uint32) string
	// Renew gives a guest another generation identifier. listens says that it hears of it.
	Renew(id uint32, generation [board.GenerationSize]byte) (listens bool)
	// SysRq sends a break and a key on a guest's console. It reports false when the
	// guest does not take them.
	SysRq(id uint32, key byte) bool
	// Plug gives a guest the vCPUs want, a bit for each, has it look at those of them
	// that are not running, and asks it to give back the others. It does nothing and
	// reports false when the guest does not listen.
	Plug(id uint32, want, running uint32) (listens bool)
	// Refused returns the vCPUs that a guest has refused to give back since Plug.
	Refused(id uint32) uint32
	// PlugDisk gives a guest a disk, in the slot that the disk names and that is free. It
	// closes the disk when it fails. listens says that the guest hears of it.
	PlugDisk(id uint32, d *storage.Disk) (listens bool, err error)
	// PlugCard gives a guest a network card likewise.
	PlugCard(id uint32, c *lan.Card) (listens bool, err error)
	// AskBack asks a guest to give back what is in a slot. It does nothing and reports
	// false when the guest does not listen.
	AskBack(id uint32, slot int) (listens bool)
	// Pull takes away what is in a slot, and returns when all that it took is free.
	Pull(id uint32, slot int)
	// Output returns how many bytes a guest has printed on its console.
	Output(id uint32) uint64
	// Log returns what a guest wrote to its debug ports.
	Log(id uint32) []byte
	// Forget drops what Detach kept, when the restart failed.
	Forget(uuid [16]byte)
}

// Attachment says for which domain device models are made.
type Attachment struct {
	ID    uint32
	VCPUs int
	// Present are those that are there, a bit for each, where they come and go.
	Present uint32
	Port    uint32 // event port of its IOReqs
	IOReq   uint64 // GPA in dom0 of its IOReqPage
	UUID    [16]byte
	Name    string

	Machine *board.Machine
	Memory  *guestmem.Memory
	// Disks are those of the machine. Attach closes them when it fails, else Detach does.
	Disks []*storage.Disk
	// Cards are its network cards, likewise.
	Cards []*lan.Card
	// HVC says that it has a virtio console, Ports are the names of its other ports.
	HVC   bool
	Ports []string
	// Emptied is called when the guest has given back what was in a slot, and all that it
	// took is free. It must not block.
	Emptied func(slot int)
}

// Options are what a [Manager] works with. HV, Loader, Files, Devices and
// Memory are mandatory.
type Options struct {
	HV      *hcall.Client
	Loader  Loader
	Files   Files
	Devices Devices
	Memory  Memory
	// Storage and Networks are where domains have disks and network cards from; nil: they
	// have none.
	Storage  *storage.Storage
	Networks *lan.Networks
	Store    store.Store      // of definitions; nil is one in memory, without a limit
	Dumps    *account.Account // what dumps are kept in; nil has no limit
	// DumpMost is how many bytes all dumps may have; 0 is no limit.
	DumpMost uint64
	Notify   func(line string)       // what happens by itself, for the console
	Tell     func(name, line string) // the same of a domain whose console may be shown
	Now      func() time.Time
	NewUUID  func() [16]byte
	// Patience is how long a guest has to power off before it is made to; 0 is a
	// minute.
	Patience time.Duration
	// Silence is how long a domain that is watched may print nothing before it is
	// said how far it has come; 0 is ten seconds.
	Silence time.Duration
}

// Manager is the toolstack. Its methods are safe for concurrent use.
type Manager struct {
	Options
	changed chan struct{}
	workers sync.WaitGroup // of Run

	// defining serializes changes of definitions; after dom.op, before mu.
	defining sync.Mutex
	dumping  sync.Mutex // serializes the making of dumps; after dom.op, before mu

	// mu guards what follows. It is not held over hypercalls, but for that of arrive.
	mu     sync.Mutex
	doms   map[uint32]*dom
	making map[string]string // names of domains being made, and their UUIDs
	dumps  map[string]Dump   // by name of the domain
}

// dom is what the toolstack knows of a domain beyond the hypervisor's record.
type dom struct {
	id uint32

	// op serializes what is done to the domain; before Manager.mu. cfg and
	// started are written with both held and read with either; the structure
	// behind cfg never changes.
	op       sync.Mutex
	cfg      *config.Config
	started  time.Time
	restarts bucket
	// generation is what the domain was told last; guarded by op.
	generation generation
	reboot     bool   // when it powers off it is to reboot; guarded by op
	asked      uint32 // slots that it is to give back, a bit for each; guarded by op
	kept       bool   // it has stopped and nothing more happens; guarded by Manager.mu
	stopped    bool   // its end is seen to; guarded by Manager.mu
	gone       bool
}

// New returns a manager that knows no domains yet; see [Manager.Adopt].
func New(o Options) *Manager {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	if o.Silence == 0 {
		o.Silence = 10 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.Tell == nil {
		o.Tell = func(_, line string) { o.Notify(line) }
	}
	if o.DumpMost == 0 {
		o.DumpMost = math.MaxUint64
	}
	if o.Store == nil {
		o.Store = store.NewMemory(nil)
	}
	if o.NewUUID == nil {
		o.NewUUID = randomUUID
	}
	return &Manager{
		Options: o, changed: make(chan struct{}, 1),
		doms: map[uint32]*dom{}, making: map[string]string{}, dumps: map[string]Dump{},
	}
}

// randomUUID returns a random UUID (RFC 9562, "UUID Version 4").
func randomUUID() (u [16]byte) {
	for i := range u {
		u[i] = byte(rand.Uint32())
	}
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// take returns the entry of a domain with op held, making one for a domain that
// the toolstack has not met; nil when the domain does not exist (any more).
func (m *Manager) take(id uint32, name string) *dom {
	m.mu.Lock()
	d := m.entry(id, name)
	m.mu.Unlock()
	d.op.Lock()
	// What the caller knows of the domain is older than the lock.
	if d.gone || !m.exists(id) {
		m.discard(d)
		d.op.Unlock()
		return nil
	}
	return d
}

// entry returns the entry of a domain, and makes it if there is none.
//
// Preconditions: m.mu is held.
func (m *Manager) entry(id uint32, name string) *dom {
	d := m.doms[id]
	if d == nil {
		c := config.Default()
		c.Name = name
		d = &dom{id: id, cfg: c}
		m.doms[id] = d
	}
	return d
}

// exists asks the hypervisor whether it has a domain. When it does not answer,
// the domain is assumed to be there: what follows will fail and say why.
func (m *Manager) exists(id uint32) bool {
	in, err := m.HV.Info(id)
	return err == nil && in.ID == id || err != nil && !errors.Is(err, abi.NoDomain)
}

// discard drops what is left of a domain that does not exist any more.
//
// Preconditions: d.op is held.
func (m *Manager) discard(d *dom) {
	if !d.gone {
		m.Devices.Detach(d.id, false)
		d.gone = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doms[d.id] == d {
		delete(m.doms, d.id)
	}
}

// configure changes a domain's configuration and stores it.
//
// Preconditions: d.op is held.
func (m *Manager) configure(d *dom, change func(*config.Config)) error {
	c := *d.cfg
	change(&c)
	b, err := encode(&dom{started: d.started, cfg: &c, generation: d.generation})
	if err != nil {
		return err
	}
	m.mu.Lock()
	d.cfg = &c
	m.mu.Unlock()
	return m.HV.SetRecord(d.id, b)
}

// forget drops the entry of a domain.
func (m *Manager) forget(id uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.doms, id)
}
