// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const attrs = `{"Action":"attr","Package":"p","Test":"TestA/x","Key":"verdict","Value":"fake | first | pass"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"=== ATTR  TestA/x verdict fake | first | pass\n"}
{"Action":"attr","Package":"p","Test":"TestA/y","Key":"verdict","Value":"fake | second case | skip | it only runs"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"verdict","Value":"real, 2 CPUs | first | deviates | the emulator's fault"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"verdict","Value":"real, 2 CPUs | second case | fail | "}
{"Action":"attr","Package":"p","Test":"TestB","Key":"verdict","Value":"real, 2 CPUs | second case | pass | "}
{"Action":"attr","Package":"p","Test":"TestB","Key":"verdict","Value":"real, 2 CPUs | third | deviates | the emulator's fault"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"other","Value":"nonsense"}
`

func TestVerdicts(t *testing.T) {
	var sum tally
	var shown, got strings.Builder
	if err := sum.read(strings.NewReader(attrs), &shown, true); err != nil || shown.Len() > 0 {
		t.Errorf("%v, shown %q", err, shown.String())
	}
	sum.verdicts.print(&got)
	want := `
The backends:
  A  fake: 1 pass, 1 skip
  B  real, 2 CPUs: 2 deviates, 1 fail

             A             B
first        pass          deviates (2)
second case  skip (1)      fail
third        -             deviates (2)
(1) it only runs
(2) the emulator's fault
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestVerdictsWrong(t *testing.T) {
	bad := `{"Action":"attr","Package":"p","Test":"T","Key":"verdict","Value":"one | two"}`
	var sum tally
	var b strings.Builder
	if err := sum.read(strings.NewReader(bad), &b, true); err == nil {
		t.Error("two fields: no error")
	}
	sum.verdicts.print(&b)
	if b.Len() > 0 {
		t.Errorf("an empty table prints %q", b.String())
	}
}
