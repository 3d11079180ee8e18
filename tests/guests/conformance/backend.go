// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"reflect"

	"ringo/hv/vcpu"
	"ringo/svm"
	"ringo/vmx"
)

// newBackend makes this machine's backend: VT-x's if intel, else AMD-V's.
func newBackend(env *vcpu.Env, intel bool) (vcpu.Backend, error) {
	if intel {
		return vmx.New(env, vmx.ReadRegisters())
	}
	return svm.New(env, svm.ReadRegisters())
}

// isIntel reports whether this machine is VT-x's rather than AMD-V's.
func isIntel() bool {
	_, err := vmx.Probe(vmx.ReadRegisters())
	return !errors.Is(err, vmx.ErrAbsent)
}

// printCaps prints what this CPU says about VT-x, in the form of the files in
// tests/data/caps.
func printCaps() {
	v := reflect.ValueOf(vmx.ReadRegisters())
	for i := range v.NumField() {
		if n := v.Field(i).Uint(); n != 0 {
			fmt.Printf("    %q: \"%#x\",\n", v.Type().Field(i).Name, n)
		}
	}
	_, err := vmx.Probe(vmx.ReadRegisters())
	fmt.Println("probe:", err)
}
