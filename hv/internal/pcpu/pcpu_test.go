// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcpu

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
)

func TestTrace(t *testing.T) {
	c := new(CPU)
	x := vcpu.Exit{Reason: vcpu.CPUID}
	for i := range uint64(traceLen + 10) {
		x.RIP, x.TSC = i, i
		c.Record(Tag(3, 1), x.Reason, &x)
	}
	var out [4]abi.TraceRecord
	if n := c.Trace(out[:]); n != 4 || out[0].TSC != traceLen+6 || out[3].RIP != traceLen+9 || out[0].Domain != 3 || out[0].VCPU != 1 {
		t.Errorf("%d records %+v", n, out)
	}
	if n := testing.AllocsPerRun(100, func() { c.Record(Tag(2, 3), x.Reason, &x) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}
