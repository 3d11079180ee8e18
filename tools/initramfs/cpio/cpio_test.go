// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cpio

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// The golden archive was listed and unpacked with GNU cpio 2.13 when it was
// made: "cpio -tv" shows the modes, the device number and the link.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	err := Write(&out, []Entry{
		{Name: "bin", Mode: Dir | 0o755},
		{Name: "bin/a", Mode: Regular | 0o755, Data: []byte("hello")},
		{Name: "bin/link", Mode: Symlink | 0o777, Data: []byte("a")},
		{Name: "console", Mode: Char | 0o600, Major: 5, Minor: 1},
		{Name: "empty", Mode: Regular | 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Len()%4 != 0 {
		t.Errorf("length %d", out.Len())
	}
	if *update {
		if err := os.WriteFile("testdata/golden.cpio", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/golden.cpio")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, out.Bytes()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestBadNames(t *testing.T) {
	for _, n := range []string{"", "/etc", "a\x00b"} {
		if err := Write(&bytes.Buffer{}, []Entry{{Name: n, Mode: Regular}}); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", n, err)
		}
	}
}
