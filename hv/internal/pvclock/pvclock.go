// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pvclock is the paravirtual clock that Linux and the BSDs know from
// KVM: a record in guest memory from which a guest computes nanoseconds from
// its TSC without an exit (Linux, Documentation/virt/kvm/x86/msr.rst,
// MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_WALL_CLOCK_NEW).
//
//	ns = system_time + ((tsc - tsc_timestamp) shifted by tsc_shift) * mul >> 32
//
// The TSC runs at a constant rate and never stops, so a record is written once,
// when the guest asks for it, and again only when the vCPU's TSC offset changes or
// the partition has been paused: time has gone on, and the guest's watchdogs
// (Linux: soft lockups, RCU stalls) must not take that for a fault of theirs.
// All vCPUs get the same time base, which the flag "TSC stable" promises.
//
// What a hostile guest can do here:
//
//	any address          -> the caller checks that it is the guest's own RAM;
//	                        a record never crosses a page
//	change the record    -> it deceives itself; hv never reads it back
//	re-register forever  -> one record per exit
package pvclock

import (
	"encoding/binary"

	"ringo/hv/bus"
	"ringo/mm"
)

const (
	enabled = 1 << 0 // bit of abi.MSRKVMSystemTime
	stable  = 1 << 0 // flag of a record: PVCLOCK_TSC_STABLE_BIT
	stopped = 1 << 1 // PVCLOCK_GUEST_STOPPED, which the guest clears

	recordLen = 32
	wallLen   = 12
)

// Rate converts TSC ticks to nanoseconds as the guest does.
type Rate struct {
	Mul   uint32 // of 2^-32 nanoseconds, at least 2^31
	Shift int8   // of the ticks before the multiplication; left if positive
}

// NewRate returns the conversion for a TSC of hz.
//
// Preconditions: hz is between 1 kHz and 1 THz.
func NewRate(hz uint64) Rate {
	// mul = 1e9 * 2^(32-shift) / hz must have exactly 32 bits: scale hz into
	// (1e9, 2e9].
	var r Rate
	h := hz
	for ; h <= 1e9; h *= 2 {
		r.Shift++
	}
	for ; h > 2e9; h = (h + 1) / 2 {
		r.Shift--
	}
	r.Mul = uint32(bus.Scale(1e9, 1<<uint8(32-r.Shift), hz))
	return r
}

// NS converts a span of ticks. The result wraps after 584 years.
func (r Rate) NS(ticks uint64) uint64 {
	if r.Shift < 0 {
		ticks >>= uint8(-r.Shift)
	} else {
		ticks <<= uint8(r.Shift)
	}
	return bus.Scale(ticks, uint64(r.Mul), 1<<32)
}

// Base is the clock of a partition: at guest TSC TSC it is NS nanoseconds old.
// WallNS is the wall time, in nanoseconds since 1970 UTC, at NS 0.
type Base struct {
	Rate   Rate
	TSC    uint64
	NS     uint64
	WallNS uint64
}

// Memory is where records go.
type Memory interface {
	Store64(a mm.HPA, v uint64)
	Write(a mm.HPA, b []byte)
}

// Clock is the MSR of one vCPU and the version of its record.
type Clock struct {
	msr     uint64
	version uint32
	wall    [wallLen]byte // here, since an argument of an interface escapes
}

// Reset is what a reset of the vCPU does.
func (c *Clock) Reset() { c.msr = 0 }

// Read returns abi.MSRKVMSystemTime.
func (c *Clock) Read() uint64 { return c.msr }

// Write sets abi.MSRKVMSystemTime. ok is false when the guest gets #GP: the record
// must be 8-byte aligned (KVM wants 4; every known guest aligns to 32 or more)
// and lie within a page. When on, the caller translates [Clock.Addr] and calls
// Publish.
func (c *Clock) Write(val uint64) (ok bool) {
	if val&enabled != 0 && (val&6 != 0 || !fits(val&^enabled, recordLen)) {
		return false
	}
	c.msr = val
	return true
}

// Addr returns where the guest wants its record. on is false when it wants none.
func (c *Clock) Addr() (a mm.GPA, on bool) { return mm.GPA(c.msr &^ 7), c.msr&enabled != 0 }

// Publish writes the record of b to a, the translation of Addr. Its version is
// odd while the rest changes, so that other vCPUs, which may read it through a
// shared mapping, repeat. paused tells the guest that it did not run for a while.
func (c *Clock) Publish(m Memory, a mm.HPA, b *Base, paused bool) {
	flags := uint64(stable)
	if paused {
		flags |= stopped
	}
	m.Store64(a, uint64(c.version+1))
	m.Store64(a+8, b.TSC)
	m.Store64(a+16, b.NS)
	m.Store64(a+24, uint64(b.Rate.Mul)|uint64(uint8(b.Rate.Shift))<<32|flags<<40)
	c.version += 2
	m.Store64(a, uint64(c.version))
}

// WallAddr checks a write to abi.MSRKVMWallClock: the address of a 12-byte record. ok
// is false when the guest gets #GP. The caller translates it and calls
// PublishWall.
func WallAddr(val uint64) (a mm.GPA, ok bool) {
	return mm.GPA(val), val&3 == 0 && fits(val, wallLen)
}

// PublishWall writes the wall-clock record of b: version, seconds, nanoseconds.
// Only the vCPU that asked reads it, after it resumes.
func (c *Clock) PublishWall(m Memory, a mm.HPA, b *Base) {
	binary.LittleEndian.PutUint32(c.wall[0:], 2)
	binary.LittleEndian.PutUint32(c.wall[4:], uint32(b.WallNS/1e9))
	binary.LittleEndian.PutUint32(c.wall[8:], uint32(b.WallNS%1e9))
	m.Write(a, c.wall[:])
}

// PairingLen is the length of KVM's struct kvm_clock_pairing.
const PairingLen = 64

// Pair fills b with that structure: the wall time wallNS, in nanoseconds since 1970 UTC,
// was when the guest's TSC was tsc (Linux, Documentation/virt/kvm/x86/hypercalls.rst,
// KVM_HC_CLOCK_PAIRING).
//
// Preconditions: b has PairingLen bytes.
func Pair(b []byte, wallNS, tsc uint64) {
	le := binary.LittleEndian
	clear(b)
	le.PutUint64(b, wallNS/1e9)
	le.PutUint64(b[8:], wallNS%1e9)
	le.PutUint64(b[16:], tsc)
}

func fits(a, n uint64) bool { return a&(mm.PageSize-1) <= mm.PageSize-n }
