// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"cmp"
	"os"
	"regexp"
	"strconv"
	"testing"

	"ringo/hv/vcpu"
)

// The list of fields in the assembly is that of fetching.
func TestReadFetching(t *testing.T) {
	text, err := os.ReadFile("ops_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	slots := map[string]slot{"CR0": sCR0, "CR4": sCR4, "RSP": sRSP, "RFLAGS": sRFLAGS, "CR3": sCR3, "Access": sAccess, "Base": sBase}
	fields := map[string]uint32{"CR0": uint32(guestCR0), "CR4": uint32(guestCR4), "RSP": uint32(guestRSP), "RFLAGS": uint32(guestRFLAGS),
		"CR3": uint32(guestCR3), "ESAccess": uint32(guestESAccess), "ESBase": uint32(guestESBase)}
	number := func(s string) int {
		n, err := strconv.Atoi(cmp.Or(s, "0"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	seen := uint64(0)
	for _, m := range regexp.MustCompile(`READ\(const_guest(\w+)\+?(\d*), const_s(\w+)\+?(\d*)\)`).FindAllStringSubmatch(string(text), -1) {
		s := slots[m[3]] + slot(number(m[4]))
		if got := fields[m[1]] + uint32(number(m[2])); got != fieldOf[s] {
			t.Errorf("%s: slot %d is field %#x, read is %#x", m[0], s, fieldOf[s], got)
		}
		seen |= 1 << s
	}
	if seen != fetching {
		t.Errorf("slots %#x are read, want %#x", seen, uint64(fetching))
	}
}

// The preemption timer gives an interrupt that was held back its moment. It ends the
// run, since what that has changed may be in a word that only the run loop reads.
func TestPreemptionTimer(t *testing.T) {
	_, v := running(t)
	var x vcpu.Exit
	if n := run(v, 0, &x, fakeExit{reason: reasonTimer}); n != 1 || x.Reason != vcpu.Tick {
		t.Errorf("%d entries, %+v", n, x)
	}
}
