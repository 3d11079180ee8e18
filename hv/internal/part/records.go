// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
)

// What the ledger's records take of the hypervisor's Go heap at most, in bytes.
// TestRecordCosts measures them.
const (
	// domainCost is a domain without vCPUs: itself, its chips, their buses, CPUID and
	// MSR tables, and the toolstack's record at its largest.
	domainCost = 19 << 10
	// vcpuCost is a vCPU with its local APIC.
	vcpuCost = 2<<10 + vcpu.RecordBytes
	// extentCost is an entry in the list of a domain's RAM, which grows by
	// copying.
	extentCost = 96
	// claimCost is an entry of a bus, and portPageCost a page of the index of
	// ports, which has 256 of them.
	claimCost    = 160
	portPageCost = 2 << 10
	// bellsCost is all doorbells of a domain. The list that a new one replaces is
	// garbage.
	bellsCost = 2 * abi.MaxBells * 24
)

// Records is the account of the Go heap that domains take. The heap lies in a
// pool of fixed size, and a Go program that meets its end dies: so whatever
// makes records on behalf of somebody takes their cost from the account first,
// and is refused when that is not there. The zero value has no limit.
type Records struct {
	limit, used atomic.Uint64
}

// SetLimit bounds the account, in bytes. Half of what the heap can grow by
// leaves room for the garbage of a whole collection cycle.
func (r *Records) SetLimit(n uint64) { r.limit.Store(n) }

// Use returns what is taken, and the limit (0: none), in bytes.
func (r *Records) Use() (used, limit uint64) { return r.used.Load(), r.limit.Load() }

func (r *Records) take(n uint64) bool {
	limit := r.limit.Load()
	for {
		used := r.used.Load()
		if limit != 0 && (n > limit || used > limit-n) {
			return false
		}
		if r.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (r *Records) give(n uint64) { r.used.Add(-n) }

// charge takes n bytes for a domain. They are given back with everything else when
// it is dismantled.
//
// Preconditions: Domain.mu is held, or the domain is in no ledger yet.
func (m *memory) charge(n uint64) abi.Status {
	if !m.account.take(n) {
		return abi.NoRecord
	}
	m.records += n
	return abi.OK
}

// uncharge gives n bytes back that are not needed after all.
func (m *memory) uncharge(n uint64) {
	m.account.give(n)
	m.records -= n
}

// recordCost is what a domain with n vCPUs takes from the start.
func recordCost(n uint32) uint64 { return domainCost + uint64(n)*vcpuCost }

// claimRecord is what a claim takes.
//
// Preconditions: as of Claim, and no vCPU has run.
func (d *Domain) claimRecord(s abi.Space, start, size uint64) uint64 {
	if s != abi.SpacePort {
		return claimCost
	}
	return claimCost + d.Ports.Grows(start, size)*portPageCost
}
