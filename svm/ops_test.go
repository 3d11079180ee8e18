// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu/hosttest"
)

func TestMacros(t *testing.T) {
	hosttest.Macros(t, "ops_amd64.h", map[string]hosttest.Macro{
		"VMRUN":   {Source: "vmrun", Code: []byte{0x0f, 0x01, 0xd8}},
		"VMMCALL": {Source: "vmmcall", Code: []byte{0x0f, 0x01, 0xd9}},
		"VMLOAD":  {Source: "vmload", Code: []byte{0x0f, 0x01, 0xda}},
		"VMSAVE":  {Source: "vmsave", Code: []byte{0x0f, 0x01, 0xdb}},
		"STGI":    {Source: "stgi", Code: []byte{0x0f, 0x01, 0xdc}},
		"CLGI":    {Source: "clgi", Code: []byte{0x0f, 0x01, 0xdd}},
	})
}
