// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hosttest

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Macro is an instruction that Go's assembler does not know.
type Macro struct {
	// Source is the instruction for GNU as.
	Source string
	// Code is the recorded output of GNU as 2.40, without a displacement.
	Code []byte
}

// displacement is the displacement 0x11223344, which a macro leaves to its user.
var displacement = []byte{0x44, 0x33, 0x22, 0x11}

// Macros checks the "#define NAME BYTE $0x.." of a header against what is
// recorded of each by name, and that against GNU as where there is one.
func Macros(t *testing.T, header string, recorded map[string]Macro) {
	t.Helper()
	want := map[string][]byte{}
	for name, m := range recorded {
		want[name] = m.Code
	}
	if d := cmp.Diff(want, defined(t, header)); d != "" {
		t.Errorf("%s (-recorded +got):\n%s", header, d)
	}
	as, err := exec.LookPath("as")
	if err != nil {
		t.Log("no GNU as on this machine: compared with its recorded output only")
		return
	}
	for name, m := range recorded {
		if got := bytes.TrimSuffix(assemble(t, as, m.Source), displacement); !bytes.Equal(got, m.Code) {
			t.Errorf("%s: recorded % x, as % x", name, m.Code, got)
		}
	}
}

// defined returns the bytes of each macro of a header.
func defined(t *testing.T, header string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(header)
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

// assemble returns the bytes that the assembler at path as makes of one line.
func assemble(t *testing.T, as, line string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "o")
	cmd := exec.Command(as, "--64", "-o", out, "-")
	cmd.Stdin = bytes.NewReader([]byte(line + "\n"))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, msg)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	code, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	return code
}
