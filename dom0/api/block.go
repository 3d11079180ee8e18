// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"ringo/dom0/config"
	"ringo/drivers/block"
)

// Block is a disk of a domain.
type Block struct {
	Name     string `json:"name"` // as its configuration calls it
	Slot     int    `json:"slot"` // of the domain's PCI bus
	Serial   string `json:"serial,omitempty"`
	Size     uint64 `json:"size"`
	ReadOnly bool   `json:"read_only,omitempty"`
	Snapshot bool   `json:"snapshot,omitempty"`
	Reads    uint64 `json:"reads"` // requests that have ended, and what they moved
	Read     uint64 `json:"read"`
	Writes   uint64 `json:"writes"`
	Written  uint64 `json:"written"`
	Flushes  uint64 `json:"flushes"`
	Errors   uint64 `json:"errors"` // requests that have failed
	// Failure is why the domain is paused until unpause has the disk tried again.
	Failure string `json:"failure,omitempty"`
	// Limits of requests and bytes that are begun in a second, and at once; 0 = none.
	IOPS      int    `json:"iops,omitempty"`
	IOPSBurst int    `json:"iops_burst,omitempty"`
	BPS       uint64 `json:"bps,omitempty"`
	BPSBurst  uint64 `json:"bps_burst,omitempty"`
}

// BlockPlug is a request to give a domain a disk, written as a setting of DomainCreate.
type BlockPlug struct {
	Domain string `json:"domain"`
	Disk   string `json:"disk"`
}

// BlockUnplug is a request to take one away, which its name or its slot names.
type BlockUnplug struct {
	Domain string `json:"domain"`
	Disk   string `json:"disk"`
	Force  bool   `json:"force,omitempty"` // the domain is not asked
}

// BlockLimits is a request to change the limits of a disk, which its name or its slot names,
// each written as iops=NUMBER, bps=SIZE, iops_burst=NUMBER or bps_burst=SIZE; 0 is none.
type BlockLimits struct {
	Domain string   `json:"domain"`
	Disk   string   `json:"disk"`
	Limits []string `json:"limits"`
}

// BlockResizing is a request to have a domain see that a disk has grown, or to make a
// snapshot larger: Size is a size as in configurations, "" = that of its configuration, or
// else of what is below.
type BlockResizing struct {
	Domain string `json:"domain"`
	Disk   string `json:"disk"`
	Size   string `json:"size,omitempty"`
}

// BlockResized are the sizes of a disk, in bytes; 0 where the domain is off.
type BlockResized struct {
	Before uint64 `json:"before"`
	Now    uint64 `json:"now"`
}

// Verbs of a domain's disks. BlockAttach says whether the domain hears of it, BlockDetach
// returns when the disk is free.
var (
	BlockAttach = add("block.attach", func(a *API, in *BlockPlug) (Triggered, error) {
		heard, err := a.Manager.AttachDisk(in.Domain, in.Disk)
		return Triggered{heard}, err
	})
	BlockDetach = act("block.detach", func(a *API, in *BlockUnplug) error {
		return a.Manager.DetachDisk(in.Domain, in.Disk, in.Force)
	})
	BlockResize = add("block.resize", func(a *API, in *BlockResizing) (out BlockResized, err error) {
		out.Before, out.Now, err = a.Manager.ResizeDisk(in.Domain, in.Disk, in.Size)
		return out, err
	})
	BlockLimit = act("block.limit", func(a *API, in *BlockLimits) error {
		return a.Manager.LimitDisk(in.Domain, in.Disk, in.Limits)
	})
)

// BlockList is the disks of a domain, in the order in which it was given them.
var BlockList = add("block.list", func(a *API, in *Ref) ([]Block, error) {
	out := []Block{}
	d, err := a.Manager.Find(in.Domain)
	if err != nil || a.Storage == nil {
		return out, err
	}
	uuid, err := config.ParseUUID(d.UUID)
	if err != nil {
		return out, err
	}
	for _, d := range a.Storage.Of(uuid) {
		i := d.Info()
		b := Block{Name: d.Name, Slot: d.Slot, Serial: d.Serial, Size: i.Blocks * uint64(i.BlockSize), ReadOnly: i.ReadOnly, Snapshot: d.Snapshot, Errors: d.Errors()}
		if err := d.Failure(); err != nil {
			b.Failure = err.Error()
		}
		l := d.Limits()
		b.IOPS, b.IOPSBurst, b.BPS, b.BPSBurst = l.IOPS, l.IOPSBurst, l.BPS.Bytes, l.BPSBurst.Bytes
		b.Reads, b.Read = d.Counted(block.Read)
		b.Writes, b.Written = d.Counted(block.Write)
		b.Flushes, _ = d.Counted(block.Flush)
		out = append(out, b)
	}
	return out, nil
})
