// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build !invariants

package vmx

// oracle is nothing in ordinary builds; see oracle_on.go.
type oracle struct{}

func (o *oracle) droppedEPT(_, _ uint64)  {}
func (o *oracle) droppedVPID(_, _ uint64) {}
func (v *VCPU) seen() uint64              { return 0 }
func (v *VCPU) entered(_ uint64)          {}
