// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"ringo/hv/vcpu/hosttest"
)

func TestMacros(t *testing.T) {
	hosttest.Macros(t, "ops_amd64.h", map[string]hosttest.Macro{
		"VMREADAX":  {Source: "vmread %rcx, %rax", Code: []byte{0x0f, 0x78, 0xc8}},
		"VMREADDI":  {Source: "vmread %rcx, 0x11223344(%rdi)", Code: []byte{0x0f, 0x78, 0x8f}},
		"VMWRITEAX": {Source: "vmwrite %rax, %rcx", Code: []byte{0x0f, 0x79, 0xc8}},
		"VMCLEARAX": {Source: "vmclear (%rax)", Code: []byte{0x66, 0x0f, 0xc7, 0x30}},
		"VMPTRLDAX": {Source: "vmptrld (%rax)", Code: []byte{0x0f, 0xc7, 0x30}},
		"VMPTRSTAX": {Source: "vmptrst (%rax)", Code: []byte{0x0f, 0xc7, 0x38}},
		"VMXONAX":   {Source: "vmxon (%rax)", Code: []byte{0xf3, 0x0f, 0xc7, 0x30}},
		"VMLAUNCH":  {Source: "vmlaunch", Code: []byte{0x0f, 0x01, 0xc2}},
		"VMRESUME":  {Source: "vmresume", Code: []byte{0x0f, 0x01, 0xc3}},
		"INVEPTCX":  {Source: "invept (%rax), %rcx", Code: []byte{0x66, 0x0f, 0x38, 0x80, 0x08}},
		"INVVPIDCX": {Source: "invvpid (%rax), %rcx", Code: []byte{0x66, 0x0f, 0x38, 0x81, 0x08}},
		"STRAX":     {Source: "str %eax", Code: []byte{0x0f, 0x00, 0xc8}},
		"INT2":      {Source: "int $2", Code: []byte{0xcd, 0x02}},
	})
}
