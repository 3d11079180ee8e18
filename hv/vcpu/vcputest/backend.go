// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"sync"

	"ringo/hv/vcpu"
	"ringo/mm/pt"
)

// Backend is a scripted vcpu.Backend.
type Backend struct {
	Capabilities vcpu.Caps
	Format       pt.Format
	// EnableErr and NewErr, when set, make Enable and NewVCPU fail.
	EnableErr error
	NewErr    error
	// Script, when set, supplies the steps of each new vCPU.
	Script func(v *VCPU)

	mu      sync.Mutex
	enabled map[int]bool
	made    []*VCPU
}

var _ vcpu.Backend = (*Backend)(nil)

// NewBackend returns a backend with plausible capabilities.
func NewBackend() *Backend {
	return &Backend{
		Capabilities: vcpu.Caps{Name: "scripted", Short: "fake", HugePages1G: true},
		Format:       pt.Format{Name: "fake"},
		enabled:      map[int]bool{},
	}
}

// Caps implements vcpu.Backend.
func (b *Backend) Caps() *vcpu.Caps { return &b.Capabilities }

// TableFormat implements vcpu.Backend.
func (b *Backend) TableFormat() *pt.Format { return &b.Format }

// Enable implements vcpu.Backend.
func (b *Backend) Enable(cpu int) error {
	if b.EnableErr != nil {
		return b.EnableErr
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enabled[cpu] = true
	return nil
}

// Enabled reports whether Enable was called for cpu.
func (b *Backend) Enabled(cpu int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.enabled[cpu]
}

// NewVCPU implements vcpu.Backend: a *VCPU of this package in reset state.
func (b *Backend) NewVCPU(t *pt.Tables) (vcpu.VCPU, error) {
	if b.NewErr != nil {
		return nil, b.NewErr
	}
	v := NewVCPU()
	v.Tables = t
	if b.Script != nil {
		b.Script(v)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made = append(b.made, v)
	return v, nil
}

// Made returns the vCPUs made so far, in order.
func (b *Backend) Made() []*VCPU {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*VCPU(nil), b.made...)
}
