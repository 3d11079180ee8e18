// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

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

// recorded is the output of GNU as 2.40 for each mnemonic.
var recorded = map[string][]byte{
	"VMRUN":   {0x0f, 0x01, 0xd8},
	"VMMCALL": {0x0f, 0x01, 0xd9},
	"VMLOAD":  {0x0f, 0x01, 0xda},
	"VMSAVE":  {0x0f, 0x01, 0xdb},
	"STGI":    {0x0f, 0x01, 0xdc},
	"CLGI":    {0x0f, 0x01, 0xdd},
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
		cmd.Stdin = strings.NewReader(strings.ToLower(name) + "\n")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, msg)
		}
		f, err := elf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Section(".text").Data()
		f.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: header % x, as % x, %v", name, want, got, err)
		}
	}
}
