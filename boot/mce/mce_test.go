// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mce

import "testing"

type bank struct{ status, addr, misc uint64 }

// Values as processors log them: the flags of SDM Vol. 3, Table "MCA Recovery
// Error Codes"/"UCR Error Classification", with codes of the memory hierarchy.
const (
	uc     = Valid | Uncorrected | Enabled
	known  = AddrValid | MiscValid
	srar   = uc | known | Signaled | Required
	srao   = uc | known | Signaled
	line   = 2<<6 | 6  // MISC: physical, a cache line
	page   = 2<<6 | 12 // physical, a page
	inRIPV = StatusMCIP | StatusRIPV
	atEIP  = StatusMCIP | StatusEIPV
)

var (
	intel  = NewCPU(0x0f00_0c14|capRecovery|capCtl, 0)
	old    = NewCPU(6|capCtl, 0)
	succor = NewCPU(0x117, 2)
)

func TestNewCPU(t *testing.T) {
	if intel != (CPU{Banks: 20, Control: true, Recovery: true}) {
		t.Errorf("%+v", intel)
	}
	if got := NewCPU(0xff, 1); got != (CPU{Banks: MaxBanks}) {
		t.Errorf("%+v", got)
	}
	if succor != (CPU{Banks: 23, Control: true, Contain: true}) {
		t.Errorf("%+v", succor)
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		c      *CPU
		global uint64
		banks  []bank
		guest  Verdict
		host   Verdict
		pages  []uint64
		keep   bool // the bank is not to be cleared
	}{
		{"nothing logged here: another CPU's", &intel, inRIPV, nil, Harmless, Harmless, nil, false},
		{"nothing logged, no way back", &intel, StatusMCIP, nil, Fatal, Fatal, nil, false},
		{"corrected", &intel, inRIPV, []bank{{Valid | Enabled | known | 0x9f, 0x1000, line}}, Harmless, Harmless, nil, false},
		{"load of lost data", &intel, atEIP, []bank{{srar | codeLoad, 0x1234_5678, line}}, Used, Fatal, []uint64{0x1234_5000}, false},
		{"fetch of lost code", &intel, atEIP | StatusRIPV, []bank{{srar | codeFetch, 0x7000, page}}, Used, Fatal, []uint64{0x7000}, false},
		{"load by another CPU", &intel, inRIPV, []bank{{srar | codeLoad, 0x7000, line}}, Harmless, Harmless, nil, true},
		{"load, without an address", &intel, atEIP, []bank{{srar&^AddrValid | codeLoad, 0, line}}, Fatal, Fatal, nil, false},
		{"load, a linear address", &intel, atEIP, []bank{{srar | codeLoad, 0x7000, 1<<6 | 6}}, Fatal, Fatal, nil, false},
		{"load, more than a page", &intel, atEIP, []bank{{srar | codeLoad, 0x7000, 2<<6 | 13}}, Fatal, Fatal, nil, false},
		{"action required, unknown", &intel, atEIP, []bank{{srar | 0x135, 0x7000, line}}, Fatal, Fatal, nil, false},
		{"found by the scrubber", &intel, inRIPV, []bank{{srao | codeScrub | 1, 0x9_0000_0040, line}}, Lost, Lost, []uint64{0x9_0000_0000}, false},
		{"written back", &intel, inRIPV, []bank{{srao | codeExplicit, 0x8000, line}}, Lost, Lost, []uint64{0x8000}, false},
		{"found by the scrubber, no way back", &intel, StatusMCIP, []bank{{srao | codeScrub, 0x8000, line}}, Fatal, Fatal, []uint64{0x8000}, false},
		{"action optional, unknown", &intel, inRIPV, []bank{{srao | 0x400, 0x8000, line}}, Harmless, Harmless, nil, false},
		{"no action", &intel, inRIPV, []bank{{uc | known | 0x9f, 0x8000, line}}, Lost, Lost, []uint64{0x8000}, false},
		{"context corrupt", &intel, inRIPV, []bank{{srao | Corrupt | codeScrub, 0x8000, line}}, Fatal, Fatal, nil, false},
		{"errors lost", &intel, inRIPV, []bank{{srao | Overflow | codeScrub, 0x8000, line}}, Fatal, Fatal, nil, false},
		{"not enabled", &intel, inRIPV, []bank{{(srar | Corrupt) &^ Enabled, 0x8000, line}}, Harmless, Harmless, nil, false},
		{"not valid", &intel, inRIPV, []bank{{(srar | Corrupt) &^ Valid, 0x8000, line}}, Harmless, Harmless, nil, false},
		{"two: the worse decides", &intel, atEIP, []bank{{srao | codeScrub, 0x8000, line}, {srar | codeLoad, 0x7000, line}}, Used, Fatal, []uint64{0x8000, 0x7000}, false},
		{"too many", &intel, inRIPV, []bank{
			{srao | codeScrub, 0x1000, line}, {srao | codeScrub, 0x2000, line}, {srao | codeScrub, 0x3000, line},
			{srao | codeScrub, 0x4000, line}, {srao | codeScrub, 0x5000, line},
		}, Fatal, Fatal, []uint64{0x1000, 0x2000, 0x3000, 0x4000}, false},

		{"uncorrected on a CPU that cannot recover", &old, atEIP, []bank{{uc | known | codeLoad, 0x7000, line}}, Fatal, Fatal, nil, false},
		{"AMD: poison made", &succor, inRIPV, []bank{{Valid | AddrValid | amdDeferred | 0x11b, 0x7040, 0}}, Lost, Lost, []uint64{0x7000}, false},
		{"AMD: poison made, no address", &succor, inRIPV, []bank{{Valid | amdDeferred | 0x11b, 0x7040, 0}}, Harmless, Harmless, nil, false},
		{"AMD: poison used", &succor, atEIP, []bank{{uc | AddrValid | Required | amdPoison | 0x135, 0x7040, 0}}, Used, Fatal, []uint64{0x7000}, false},
		{"AMD: uncorrected, not poison", &succor, atEIP, []bank{{uc | AddrValid | 0x135, 0x7040, 0}}, Fatal, Fatal, nil, false},
		{"AMD: context corrupt", &succor, atEIP, []bank{{uc | AddrValid | Corrupt | amdPoison, 0x7040, 0}}, Fatal, Fatal, nil, false},
		{"AMD: corrected", &succor, inRIPV, []bank{{Valid | Enabled | AddrValid | 0x11b, 0x7040, 0}}, Harmless, Harmless, nil, false},
	} {
		for _, host := range []bool{false, true} {
			var r Report
			r.Begin(tt.global)
			for i, b := range tt.banks {
				if clear := r.Bank(tt.c, i, b.status, b.addr, b.misc); clear == tt.keep && b.status&Valid != 0 {
					t.Errorf("%s: bank %d is cleared: %v", tt.name, i, clear)
				}
			}
			r.End(host)
			want := tt.guest
			if host {
				want = tt.host
			}
			if r.Verdict != want {
				t.Errorf("%s, host %v: verdict %d, want %d", tt.name, host, r.Verdict, want)
			}
			if string(bytesOf(r.Pages[:r.N])) != string(bytesOf(tt.pages)) {
				t.Errorf("%s: pages %x, want %x", tt.name, r.Pages[:r.N], tt.pages)
			}
		}
	}
}

func bytesOf(list []uint64) (b []byte) {
	for _, w := range list {
		for i := range 8 {
			b = append(b, byte(w>>(8*i)))
		}
	}
	return b
}

// What is shown is the bank that decided, without fields that are not valid.
func TestWorst(t *testing.T) {
	var r Report
	r.Begin(atEIP)
	r.Bank(&intel, 3, srao|codeScrub, 0x8000, line)
	r.Bank(&intel, 7, uc|Corrupt|0x400, 0x1111, 0x2222)
	r.Bank(&intel, 8, srao|codeScrub, 0x9000, line)
	r.End(false)
	if r.Worst != 7 || r.Status != uc|Corrupt|0x400 || r.Addr != 0 || r.Misc != 0 || r.Verdict != Fatal {
		t.Errorf("%+v", r)
	}
}
