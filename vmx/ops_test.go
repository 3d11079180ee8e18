// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// instructions are what the macros of ops_amd64.h stand for. A displacement
// follows VMREADDI.
var instructions = map[string]string{
	"VMREADAX":  "vmread %rcx, %rax",
	"VMREADDI":  "vmread %rcx, 0x11223344(%rdi)",
	"VMWRITEAX": "vmwrite %rax, %rcx",
	"VMCLEARAX": "vmclear (%rax)",
	"VMPTRLDAX": "vmptrld (%rax)",
	"VMXONAX":   "vmxon (%rax)",
	"VMXOFF":    "vmxoff",
	"VMLAUNCH":  "vmlaunch",
	"VMRESUME":  "vmresume",
	"INVEPTCX":  "invept (%rax), %rcx",
	"INVVPIDCX": "invvpid (%rax), %rcx",
	"STRAX":     "str %eax",
	"INT2":      "int $2",
}

// recorded is the output of GNU as 2.40 for each, without a displacement.
var recorded = map[string][]byte{
	"VMREADAX":  {0x0f, 0x78, 0xc8},
	"VMREADDI":  {0x0f, 0x78, 0x8f},
	"VMWRITEAX": {0x0f, 0x79, 0xc8},
	"VMCLEARAX": {0x66, 0x0f, 0xc7, 0x30},
	"VMPTRLDAX": {0x0f, 0xc7, 0x30},
	"VMXONAX":   {0xf3, 0x0f, 0xc7, 0x30},
	"VMXOFF":    {0x0f, 0x01, 0xc4},
	"VMLAUNCH":  {0x0f, 0x01, 0xc2},
	"VMRESUME":  {0x0f, 0x01, 0xc3},
	"INVEPTCX":  {0x66, 0x0f, 0x38, 0x80, 0x08},
	"INVVPIDCX": {0x66, 0x0f, 0x38, 0x81, 0x08},
	"STRAX":     {0x0f, 0x00, 0xc8},
	"INT2":      {0xcd, 0x02},
}

func macros(t *testing.T) map[string][]byte {
	text, err := os.ReadFile("ops_amd64.h")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	hex := regexp.MustCompile(`BYTE \$0x([0-9a-f]{2})`)
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+) (.*)$`).FindAllStringSubmatch(string(text), -1) {
		for _, b := range hex.FindAllStringSubmatch(m[2], -1) {
			n, err := strconv.ParseUint(b[1], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			got[m[1]] = append(got[m[1]], byte(n))
		}
	}
	return got
}

func TestMacros(t *testing.T) {
	if d := cmp.Diff(recorded, macros(t)); d != "" {
		t.Errorf("ops_amd64.h (-recorded +got):\n%s", d)
	}
}

func TestMacrosAgainstAssembler(t *testing.T) {
	as, err := exec.LookPath("as")
	if err != nil {
		t.Skip("no GNU as on this machine; TestMacros compares with its recorded output")
	}
	out := filepath.Join(t.TempDir(), "o")
	for name, want := range macros(t) {
		cmd := exec.Command(as, "--64", "-o", out, "-")
		cmd.Stdin = strings.NewReader(instructions[name] + "\n")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, msg)
		}
		f, err := elf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Section(".text").Data()
		f.Close()
		got = bytes.TrimSuffix(got, []byte{0x44, 0x33, 0x22, 0x11})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: header % x, as % x, %v", name, want, got, err)
		}
	}
}
