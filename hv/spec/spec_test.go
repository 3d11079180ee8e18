// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package spec

import "testing"

// What processors say, as the CPU models of QEMU have it from them, and what
// microcode has added.
var cpus = []struct {
	name string
	r    Registers
	want Plan
	text string
}{
	{"an emulator's", Registers{}, Plan{}, "nothing that this CPU offers"},
	{"Skylake", Registers{Leaf7B: b7RTM, Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7L1DFlush | d7SSBD},
		Plan{IBPB: true, L1D: true, RSB: true, VERW: true, Guest: 7}, "IBPB, L1D flush, RSB, VERW"},
	{"Skylake, microcode of 2017", Registers{Leaf7B: b7RTM}, Plan{}, "nothing that this CPU offers"},
	{"Cascade Lake", Registers{Leaf7B: b7RTM, Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7L1DFlush | d7ArchCaps | d7SSBD,
		ArchCapabilities: capRDCLNo | capIBRSAll | capSkipL1D | capMDSNo},
		Plan{IBPB: true, RSB: true, VERW: true, SpecCtrl: CtrlIBRS, Guest: 7}, "IBPB, RSB, VERW, enhanced IBRS"},
	{"Cascade Lake without TSX, not affected by stale data", Registers{Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7L1DFlush | d7ArchCaps | d7SSBD,
		ArchCapabilities: capRDCLNo | capIBRSAll | capSkipL1D | capMDSNo | capTAANo},
		Plan{IBPB: true, RSB: true, SpecCtrl: CtrlIBRS, Guest: 7}, "IBPB, RSB, enhanced IBRS"},
	{"Ice Lake", Registers{Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7L1DFlush | d7ArchCaps | d7SSBD,
		ArchCapabilities: capRDCLNo | capIBRSAll | capSkipL1D | capMDSNo | capTAANo | capFBClear},
		Plan{IBPB: true, RSB: true, VERW: true, SpecCtrl: CtrlIBRS, Guest: 7}, "IBPB, RSB, VERW, enhanced IBRS"},
	{"Sapphire Rapids", Registers{Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7L1DFlush | d7ArchCaps | d7SSBD,
		ArchCapabilities: capRDCLNo | capIBRSAll | capSkipL1D | capMDSNo | capTAANo | noMMIO | capFBClear | capPBRSBNo},
		Plan{IBPB: true, SpecCtrl: CtrlIBRS, Guest: 7}, "IBPB, enhanced IBRS"},
	{"Gracemont", Registers{Leaf7D: d7MDClear | d7IBRS | d7STIBP | d7ArchCaps | d7SSBD,
		ArchCapabilities: capRDCLNo | capIBRSAll | capSkipL1D | capMDSNo | capTAANo | noMMIO | capRFDSClear | capPBRSBNo},
		Plan{IBPB: true, VERW: true, SpecCtrl: CtrlIBRS, Guest: 7}, "IBPB, VERW, enhanced IBRS"},
	{"EPYC", Registers{Ext8B: b8IBPB}, Plan{IBPB: true, RSB: true}, "IBPB, RSB"},
	{"EPYC Milan", Registers{Ext8B: b8IBPB | b8IBRS | b8STIBP | b8SSBD}, Plan{IBPB: true, RSB: true, Guest: 7}, "IBPB, RSB"},
	{"EPYC Milan, microcode against TSA", Registers{Ext8B: b8IBPB | b8IBRS | b8STIBP | b8SSBD, Ext21A: a21VERW},
		Plan{IBPB: true, RSB: true, VERW: true, Guest: 7}, "IBPB, RSB, VERW"},
	{"EPYC Genoa", Registers{Ext8B: b8IBPB | b8IBRS | b8STIBP | b8SSBD, Ext21A: a21AIBRS},
		Plan{IBPB: true, AutoIBRS: true, Guest: 7}, "IBPB, automatic IBRS"},
	{"not affected by TSA", Registers{Ext8B: b8IBPB, Ext21A: a21AIBRS | a21VERW, Ext21C: c21TSASQ | c21TSAL1},
		Plan{IBPB: true, AutoIBRS: true}, "IBPB, automatic IBRS"},
	{"capabilities that do not exist", Registers{Leaf7D: d7IBRS, ArchCapabilities: ^uint64(0)},
		Plan{IBPB: true, RSB: true, Guest: CtrlIBRS}, "IBPB, RSB"},
}

func TestDecide(t *testing.T) {
	for _, tt := range cpus {
		p := Decide(&tt.r)
		if want := tt.r.ArchCapabilities; tt.r.Leaf7D&d7ArchCaps != 0 && p.GuestCaps != want || tt.r.Leaf7D&d7ArchCaps == 0 && p.GuestCaps != 0 {
			t.Errorf("%s: a guest reads capabilities %#x of %#x", tt.name, p.GuestCaps, want)
		}
		if p.GuestCaps = 0; p != tt.want || p.String() != tt.text {
			t.Errorf("%s: %+v %q, want %+v %q", tt.name, p, p.String(), tt.want, tt.text)
		}
		if p.PerRun() != (p.RSB || p.VERW || p.Guest != 0) {
			t.Errorf("%s: PerRun %v", tt.name, p.PerRun())
		}
	}
}
