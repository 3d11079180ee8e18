// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"errors"
	"fmt"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// plan is a configuration that passed every check, and what it needs.
type plan struct {
	cfg            *config.Config
	uuid           [16]byte
	cpus           []uint64 // of each vCPU
	kernel, initrd loader.Source
	modules        []loader.Module
	machine        *board.Machine
	bytes          uint64 // of its RAM
	kvm            bool   // KVM's CPUID leaves come first
	generation     generation
}

// Check does everything that Create does before it makes the domain.
func (m *Manager) Check(cfg *config.Config) error {
	p, err := m.plan(cfg)
	if err != nil {
		return err
	}
	if err := m.undefined(p.cfg.Name); err != nil {
		return err
	}
	if err := m.unique(p.cfg.Name, p.uuid); err != nil {
		return err
	}
	if err := m.memoryFree(p.bytes); err != nil {
		return err
	}
	if err := m.Loader.Try(p.request()); err != nil {
		return invalid(err)
	}
	return nil
}

// request says what to load.
func (p *plan) request() loader.Request {
	return loader.Request{
		Kernel: p.kernel, Initrd: p.initrd, Modules: p.modules, Cmdline: p.cfg.Boot.Cmdline, Machine: p.machine,
	}
}

// Create makes a domain and, unless paused is set, starts it. cfg is copied. It
// returns the domain's id.
func (m *Manager) Create(cfg *config.Config, paused bool) (uint32, error) {
	p, err := m.plan(cfg)
	if err != nil {
		return 0, err
	}
	if err := m.undefined(p.cfg.Name); err != nil {
		if err := m.unique(p.cfg.Name, p.uuid); err != nil { // of one that is there that is said
			return 0, err
		}
		return 0, err
	}
	return m.create(p, paused, bucket{})
}

// create makes the domain of a plan, which may still make restarts.
func (m *Manager) create(p *plan, paused bool, restarts bucket) (uint32, error) {
	// The name is given back before the domain is: who waits for op may make a
	// domain of that name, as a guest that reboots at once does.
	d := &dom{cfg: p.cfg, started: m.Now(), restarts: restarts, generation: p.generation}
	d.op.Lock()
	defer d.op.Unlock()
	name := p.cfg.Name
	m.mu.Lock()
	for other, uuid := range m.making {
		if other == name || uuid == p.cfg.UUID {
			m.mu.Unlock()
			return 0, problem.New(problem.Busy, "", "domain %q is being created already", other)
		}
	}
	m.making[name] = p.cfg.UUID
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.making, name)
		m.mu.Unlock()
	}()
	if err := m.unique(name, p.uuid); err != nil {
		return 0, err
	}
	if err := m.memoryFree(p.bytes); err != nil {
		return 0, err
	}
	if err := m.build(d, p, paused); err != nil {
		return 0, m.explain(p, err)
	}
	return d.id, nil
}

// plan checks a configuration and finds what it names.
func (m *Manager) plan(cfg *config.Config) (*plan, error) {
	p, err := m.check(cfg)
	if err != nil {
		return nil, invalid(err)
	}
	return p, nil
}

func (m *Manager) check(cfg *config.Config) (*plan, error) {
	c := *cfg
	p := &plan{cfg: &c, generation: newGeneration()}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if s := c.Unsupported(); s != "" {
		return nil, problem.New(problem.Unsupported, "", "%s", s)
	}
	host, err := m.HV.Host()
	if err != nil {
		return nil, err
	}
	if p.cpus, err = config.ParseAffinity(c.CPUs, c.AllVCPUs(), int(min(host.NumCPUs, 64))); err != nil {
		return nil, fmt.Errorf("cpus: %w", err)
	}
	if c.Boot.Kernel == "" {
		return nil, problem.New(problem.Invalid, "give kernel=boot:NAME (the command files lists what there is)", "kernel: missing")
	}
	if p.kernel, err = m.Files.Open(c.Boot.Kernel); err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	wants, err := m.Loader.Check(p.kernel)
	if err != nil {
		return nil, err
	}
	p.kvm = c.Hypervisor == config.KVM || c.Hypervisor == "" && wants.PVH
	if c.Boot.Initrd != "" {
		if p.initrd, err = m.Files.Open(c.Boot.Initrd); err != nil {
			return nil, fmt.Errorf("initrd: %w", err)
		}
	}
	for _, text := range c.Boot.Modules {
		name, _ := config.CutModule(text)
		src, err := m.Files.Open(name)
		if err != nil {
			return nil, fmt.Errorf("modules: %w", err)
		}
		p.modules = append(p.modules, loader.Module{Source: src, Text: text})
	}
	if p.machine, err = machine(&c, wants.Base(c.Memory.Bytes)); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	for _, r := range p.machine.RAM() {
		p.bytes += r.Size
	}
	if c.UUID == "" {
		c.UUID = config.FormatUUID(m.NewUUID())
	}
	if p.uuid, err = config.ParseUUID(c.UUID); err != nil {
		return nil, err
	}
	c.UUID = config.FormatUUID(p.uuid) // in one form, to be compared
	if err := m.checkDisks(p); err != nil {
		return nil, err
	}
	return p, m.checkCards(p)
}

// machine is what a guest with a configuration sees, whose kernel wants its memory at
// base (board.Config.Base).
func machine(c *config.Config, base uint64) (*board.Machine, error) {
	all := c.AllVCPUs()
	t, err := config.ParseTopology(c.Topology, all)
	if err != nil {
		return nil, err
	}
	var present uint32
	if c.MaxVCPUs != 0 {
		present = first(c.VCPUs)
	}
	var disks, cards []int
	for _, d := range c.Settled() {
		disks = append(disks, d.Slot)
	}
	for _, n := range c.SettledNICs() {
		cards = append(cards, n.Slot)
	}
	return board.New(board.Config{CPUs: all, Present: present, Topology: t, Memory: c.Memory.Bytes, Base: base, RNG: c.RNG, Console: len(c.Consoles()) > 1, NICs: cards, Disks: disks, DebugExit: c.DebugExit})
}

// build makes the domain of a plan. When it fails nothing is left.
//
// Preconditions: d.op is held.
func (m *Manager) build(d *dom, p *plan, paused bool) (err error) {
	rec, err := encode(d)
	if err != nil {
		return err
	}
	c := *p.cfg
	c.Disk, c.NIC = c.Settled(), c.SettledNICs() // as it is when they come and go
	if err := d.fits(&c); err != nil {
		return err
	}
	a := abi.CreateArgs{
		UUID: p.uuid, VCPUs: uint32(p.cfg.AllVCPUs()), Weight: uint32(p.cfg.CPUWeight), Cap: uint32(p.cfg.Cap),
		MaxBytes: p.bytes, Affinity: p.cpus[0], Topology: p.machine.Topology,
	}
	if p.kvm {
		a.Flags |= abi.CreateKVM
	}
	hcall.SetText(a.Name[:], p.cfg.Name)
	if err := m.arrive(d, &a); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.undo(a.ID))
			d.gone = true
			m.forget(a.ID)
		}
	}()
	if err := m.furnish(&a, p); err != nil {
		return err
	}
	// The record comes last: a domain without one is half-made, see Adopt.
	if err := m.HV.SetRecord(a.ID, rec); err != nil {
		return err
	}
	if paused {
		return nil
	}
	return m.HV.Unpause(a.ID)
}

// arrive makes a domain that has nothing yet, and its entry. Everybody finds it in the
// hypervisor's list from now on: who wants to do something to it waits for op, so that its
// memory does not go while it is filled.
//
// Preconditions: d.op is held.
func (m *Manager) arrive(d *dom, a *abi.CreateArgs) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.HV.Create(a); err != nil {
		return err
	}
	d.id = a.ID
	m.doms[a.ID] = d
	return nil
}

// furnish gives a new domain its memory, operating system and devices.
func (m *Manager) furnish(a *abi.CreateArgs, p *plan) error {
	for i, mask := range p.cpus {
		if mask == a.Affinity {
			continue
		}
		if err := m.pin(a.ID, uint32(i), uint32(i), mask); err != nil {
			return err
		}
	}
	for _, r := range p.machine.RAM() {
		if err := m.HV.Populate(a.ID, r.Start, r.Size, r.Kind, nil); err != nil {
			return err
		}
	}
	mem, err := m.memory(a.ID)
	if err != nil {
		return err
	}
	if err := m.load(a.ID, p, mem); err != nil {
		return err
	}
	for _, c := range p.machine.Claims() {
		if err := m.HV.Claim(a.ID, c.Space, c.Start, c.Size, c.Cell); err != nil {
			return err
		}
	}
	for i := p.cfg.VCPUs; i < p.cfg.AllVCPUs(); i++ {
		if _, err := m.HV.Trigger(a.ID, abi.TriggerUnplug, uint32(i)); err != nil {
			return err
		}
	}
	at := Attachment{
		ID: a.ID, VCPUs: p.cfg.AllVCPUs(), Present: p.machine.Present, Port: a.Port, IOReq: a.IOReq, UUID: p.uuid, Name: p.cfg.Name,
		Machine: p.machine, Memory: mem,
	}
	if err := m.equip(&at, p.cfg); err != nil {
		return err
	}
	at.Emptied = func(slot int) { m.emptied(a.ID, slot) }
	return m.Devices.Attach(at)
}

// load fills the domain's memory and sets the registers of its first vCPU.
func (m *Manager) load(id uint32, p *plan, mem *guestmem.Memory) error {
	if !mem.Pin() {
		return errors.New("the domain is being destroyed")
	}
	defer mem.Unpin()
	x, err := m.Loader.Load(p.request(), ram{mem})
	if err != nil {
		return err
	}
	copy(mem.RAM(board.GenerationAt, board.GenerationSize), p.generation[:])
	x.Online = 1
	return m.HV.SetVCPU(id, 0, &x)
}

// undo ends a half-made domain. An error of it is one the user must know of: the
// domain still holds memory.
func (m *Manager) undo(id uint32) error {
	err := m.remove(id, false)
	if err != nil {
		return fmt.Errorf("and what was made of it remains, use destroy %d: %w", id, err)
	}
	return nil
}

// remove takes a domain's device models and the domain away and waits until its
// memory is free.
func (m *Manager) remove(id uint32, again bool) error {
	m.Devices.Detach(id, again)
	if err := m.HV.Destroy(id, nil); err != nil && !errors.Is(err, abi.NoDomain) {
		return err
	}
	return nil
}
