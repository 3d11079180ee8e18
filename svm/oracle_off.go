// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build !invariants

package svm

// oracle is nothing in ordinary builds; see oracle_on.go.
type oracle struct{}

func newOracle(_ uint32) oracle { return oracle{} }

func (v *VCPU) seen() uint64     { return 0 }
func (v *VCPU) entered(_ uint64) {}
