// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "ringo/hv/abi"

// Create makes a paused domain without memory and fills the results of a.
func (c *Client) Create(a *abi.CreateArgs) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.buf, a)
	st, id := c.call(abi.CallDomCreate, c.gpa, 0, 0, 0, 0)
	if st == abi.OK {
		get(c.buf, a)
		a.ID = uint32(id)
	}
	return fail(abi.CallDomCreate, st, "create domain %q", Text(a.Name[:]))
}

// Populate gives domain dom size bytes of RAM of a kind at guest physical address
// start, both multiples of PageSize. progress, which may be nil, is called between the
// steps with what the hypervisor says of its progress. When it fails, the domain
// may hold a part: destroying it frees that.
func (c *Client) Populate(dom uint32, start, size uint64, kind abi.RAMKind, progress func(uint64)) error {
	st, _ := c.finish(abi.CallDomPopulate, [5]uint64{uint64(dom), start, size, uint64(kind)}, progress)
	return fail(abi.CallDomPopulate, st, "give domain %d %d KiB of memory at %#x", dom, size>>10, start)
}

// Map maps all RAM of a domain into dom0 at GPA == HPA, until the domain is
// destroyed, and returns its extents.
func (c *Client) Map(dom uint32) ([]abi.Extent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []abi.Extent
	for {
		l := abi.ExtentList{First: uint32(len(all))}
		put(c.buf, &l)
		st, _ := c.call(abi.CallDomMap, uint64(dom), c.gpa, 0, 0, 0)
		if st != abi.OK && st != abi.Again {
			return nil, fail(abi.CallDomMap, st, "map the memory of domain %d", dom)
		}
		get(c.buf, &l)
		if all == nil {
			all = make([]abi.Extent, 0, l.Total) // once: there may be many
		}
		all = append(all, l.E[:min(l.Count, uint32(len(l.E)))]...)
		if st == abi.OK {
			return all, nil
		}
	}
}

// SetVCPU sets the registers of a vCPU that does not run.
func (c *Client) SetVCPU(dom, vcpu uint32, x *abi.VCPUContext) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.buf, x)
	st, _ := c.call(abi.CallDomSetVCPU, uint64(dom), uint64(vcpu), c.gpa, 0, 0)
	return fail(abi.CallDomSetVCPU, st, "set vCPU %d of domain %d", vcpu, dom)
}

// GetVCPU returns the registers of a vCPU.
func (c *Client) GetVCPU(dom, vcpu uint32) (abi.VCPUContext, error) {
	var x abi.VCPUContext
	c.mu.Lock()
	defer c.mu.Unlock()
	st, _ := c.call(abi.CallDomGetVCPU, uint64(dom), uint64(vcpu), c.gpa, 0, 0)
	if st == abi.OK {
		get(c.buf, &x)
	}
	return x, fail(abi.CallDomGetVCPU, st, "read vCPU %d of domain %d", vcpu, dom)
}

// Claim makes accesses of a domain to [start, start+size) of a space IOReqs. Unless cell
// is 0, the ports have the cells from number cell-1 on.
func (c *Client) Claim(dom uint32, s abi.Space, start, size, cell uint64) error {
	st, _ := c.call(abi.CallDomClaim, uint64(dom), uint64(s), start, size, cell)
	return fail(abi.CallDomClaim, st, "claim %#x+%#x of domain %d", start, size, dom)
}

// Pause stops a domain's vCPUs; it returns when none runs.
func (c *Client) Pause(dom uint32) error {
	st, _ := c.finish(abi.CallDomPause, [5]uint64{uint64(dom)}, nil)
	return fail(abi.CallDomPause, st, "pause domain %d", dom)
}

// Unpause lets a domain run.
func (c *Client) Unpause(dom uint32) error {
	st, _ := c.call(abi.CallDomUnpause, uint64(dom), 0, 0, 0, 0)
	return fail(abi.CallDomUnpause, st, "unpause domain %d", dom)
}

// Destroy ends a domain; it returns when all its memory is scrubbed and free.
func (c *Client) Destroy(dom uint32, progress func(uint64)) error {
	st, _ := c.finish(abi.CallDomDestroy, [5]uint64{uint64(dom)}, progress)
	return fail(abi.CallDomDestroy, st, "destroy domain %d", dom)
}

// Info returns the record of the first domain whose id is at least first. The
// error is abi.NoDomain at the end of the table.
func (c *Client) Info(first uint32) (abi.DomainInfo, error) {
	var d abi.DomainInfo
	c.mu.Lock()
	defer c.mu.Unlock()
	st, _ := c.call(abi.CallDomInfo, uint64(first), c.gpa, 0, 0, 0)
	if st == abi.OK {
		get(c.buf, &d)
	}
	return d, fail(abi.CallDomInfo, st, "look for domain %d", first)
}

// Domains returns the records of all domains by ascending id, dom0 first.
func (c *Client) Domains() ([]abi.DomainInfo, error) {
	var all []abi.DomainInfo
	for first := uint32(0); ; {
		d, err := c.Info(first)
		if err != nil {
			if err.(*Error).Status == abi.NoDomain {
				return all, nil
			}
			return nil, err
		}
		all = append(all, d)
		if d.ID < first || d.ID == ^uint32(0) {
			return all, nil
		}
		first = d.ID + 1
	}
}

// Rename gives a domain another name.
func (c *Client) Rename(dom uint32, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	SetText(c.buf[:abi.NameLen], name)
	st, _ := c.call(abi.CallDomRename, uint64(dom), c.gpa, 0, 0, 0)
	return fail(abi.CallDomRename, st, "rename domain %d to %q", dom, name)
}

// SetRecord stores the toolstack's record of a domain, at most abi.RecordLen
// bytes, in the hypervisor.
func (c *Client) SetRecord(dom uint32, rec []byte) error {
	if len(rec) > abi.RecordLen {
		return fail(abi.CallDomSetRecord, abi.TooBig, "store %d bytes of record of domain %d", len(rec), dom)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	copy(c.buf, rec)
	st, _ := c.call(abi.CallDomSetRecord, uint64(dom), c.gpa, uint64(len(rec)), 0, 0)
	return fail(abi.CallDomSetRecord, st, "store the record of domain %d", dom)
}

// Record returns what SetRecord stored.
func (c *Client) Record(dom uint32) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, n := c.call(abi.CallDomGetRecord, uint64(dom), c.gpa, PageSize, 0, 0)
	if st != abi.OK {
		return nil, fail(abi.CallDomGetRecord, st, "read the record of domain %d", dom)
	}
	return append([]byte(nil), c.buf[:min(n, PageSize)]...), nil
}

// SetSched sets a domain's scheduling weight (1-65535) and cap (percent of one
// CPU, 0 = none).
func (c *Client) SetSched(dom, weight, cap uint32) error {
	st, _ := c.call(abi.CallDomSched, uint64(dom), uint64(weight), uint64(cap), 0, 0)
	return fail(abi.CallDomSched, st, "set weight %d and cap %d of domain %d", weight, cap, dom)
}

// Slice changes how long a vCPU runs while others wait, unless it is 0, and returns how
// long it is from now on, in microseconds.
func (c *Client) Slice(us uint64) (uint64, error) {
	st, v := c.call(abi.CallSchedSlice, us, 0, 0, 0, 0)
	return v, fail(abi.CallSchedSlice, st, "set the time slice to %d us", us)
}

// Affinity makes the CPUs of mask those where a vCPU may run: all with ^0, and with 0
// they stay. It returns them; with abi.BadArg those that run vCPUs at all.
func (c *Client) Affinity(dom, vcpu uint32, mask uint64) (cpus uint64, err error) {
	st, cpus := c.call(abi.CallDomAffinity, uint64(dom), uint64(vcpu), mask, 0, 0)
	return cpus, fail(abi.CallDomAffinity, st, "choose CPUs %#x for vCPU %d of domain %d", mask, vcpu, dom)
}

// SetIRQ sets the level of an interrupt line (gsi) of a domain. It does not
// allocate unless it fails.
func (c *Client) SetIRQ(dom, gsi uint32, level bool) error {
	var l uint64
	if level {
		l = 1
	}
	st, _ := c.call(abi.CallDomIRQ, uint64(dom), uint64(gsi), l, 0, 0)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallDomIRQ, st, "set interrupt line %d of domain %d", gsi, dom)
}

// MSI delivers the message-signalled interrupt that a write of data to addr is. It
// does not allocate unless it fails.
func (c *Client) MSI(dom uint32, addr uint64, data uint32) error {
	st, _ := c.call(abi.CallDomMSI, uint64(dom), addr, uint64(data), 0, 0)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallDomMSI, st, "deliver message %#x at %#x to domain %d", data, addr, dom)
}

// SetBell makes a part of a range that was claimed a doorbell; with size 0 the
// bell is taken away. It does not allocate unless it fails.
func (c *Client) SetBell(dom, bell uint32, s abi.Space, start, size uint64) error {
	st, _ := c.call(abi.CallDomBell, uint64(dom), uint64(bell), uint64(s), start, size)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallDomBell, st, "put doorbell %d of domain %d at %#x+%#x", bell, dom, start, size)
}

// End makes a domain stop as if by itself.
func (c *Client) End(dom uint32, why abi.Shutdown) error {
	st, _ := c.call(abi.CallDomEnd, uint64(dom), uint64(why), 0, 0, 0)
	return fail(abi.CallDomEnd, st, "end domain %d", dom)
}

// Trigger does t to a vCPU of a domain, or with a button to the domain. It reports
// whether the guest listens to the button.
func (c *Client) Trigger(dom uint32, t abi.Trigger, vcpu uint32) (listens bool, err error) {
	st, v := c.call(abi.CallDomTrigger, uint64(dom), uint64(t), uint64(vcpu), 0, 0)
	return v != 0, fail(abi.CallDomTrigger, st, "trigger %d of vCPU %d of domain %d", t, vcpu, dom)
}

// IOReqDone tells the hypervisor that a slot of a domain's IOReqPage is answered.
// It does not allocate unless it fails.
//
// The hypervisor lets that vCPU run first if it is on the caller's CPU: the
// caller has nothing to do but to look for the next event.
func (c *Client) IOReqDone(dom, vcpu uint32) error {
	st, _ := c.call(abi.CallIOReqDone, uint64(dom), uint64(vcpu), 0, 0, 0)
	if st == abi.OK {
		return nil
	}
	return fail(abi.CallIOReqDone, st, "answer vCPU %d of domain %d", vcpu, dom)
}

// Line is one interrupt line of a domain, as device models use it.
type Line struct {
	c        *Client
	dom, gsi uint32
}

// Line returns interrupt line gsi of domain dom.
func (c *Client) Line(dom, gsi uint32) *Line { return &Line{c, dom, gsi} }

// Set sets the level. A domain that is gone has no lines: errors are of no use.
func (l *Line) Set(level bool) { _ = l.c.SetIRQ(l.dom, l.gsi, level) }
