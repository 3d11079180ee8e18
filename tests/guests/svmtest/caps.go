// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"reflect"

	"ringo/vmx"
)

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
