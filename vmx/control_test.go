// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
)

func TestAdjust(t *testing.T) {
	for _, tt := range []struct {
		name                                   string
		want, allowed0, allowed1, got, missing uint32
	}{
		{"as wanted", 0b0101, 0, 0b1111, 0b0101, 0},
		{"forced on", 0b0001, 0b1000, 0b1111, 0b1001, 0},
		{"not there", 0b0011, 0, 0b1101, 0b0001, 0b0010},
		{"both", 0b0110, 0b1000, 0b1010, 0b1010, 0b0100},
		{"nothing", 0, 0, 0, 0, 0},
		{"all", ^uint32(0), 0x16, ^uint32(0), ^uint32(0), 0},
	} {
		got, missing := adjust(tt.want, tt.allowed0, tt.allowed1)
		if got != tt.got || missing != tt.missing {
			t.Errorf("%s: %#b, missing %#b; want %#b, %#b", tt.name, got, missing, tt.got, tt.missing)
		}
	}
}

// dump is a file of tests/data/caps.
type dump struct {
	Name, Source string
	Registers    map[string]string
	Want         want
}

// want is what this package is expected to make of a CPU.
type want struct {
	Err                                                                   string
	AccessedDirty, VPID, Huge1G, Timer, PauseLoop, INVPCID, RDTSCP, XSAVE bool
	VirtualAPIC                                                           bool
}

func (d *dump) registers(t *testing.T) (r Registers) {
	v := reflect.ValueOf(&r).Elem()
	for name, text := range d.Registers {
		n, err := strconv.ParseUint(text, 0, 64)
		f := v.FieldByName(name)
		if err != nil || !f.IsValid() || f.OverflowUint(n) {
			t.Fatalf("%s: %s = %s", d.Name, name, text)
		}
		f.SetUint(n)
	}
	return r
}

func dumps(t *testing.T) map[string]*dump {
	files, err := filepath.Glob("../tests/data/caps/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dump{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := &dump{}
		if err := json.Unmarshal(b, d); err != nil || d.Source == "" || len(d.Registers) < 3 {
			t.Fatalf("%s: %v, source %q", name, err, d.Source)
		}
		all[filepath.Base(name)] = d
	}
	if len(all) < 3 {
		t.Fatalf("%d dumps", len(all))
	}
	return all
}

// Probing gives the expected features on every recorded CPU, and every control
// is one that the CPU allows.
func TestRecordedCPUs(t *testing.T) {
	for file, d := range dumps(t) {
		r := d.registers(t)
		f, err := probe(&r)
		got := want{
			AccessedDirty: f.accessedDirty, VPID: f.vpid, Huge1G: f.huge1G, Timer: f.pin&pinTimer != 0,
			PauseLoop: f.proc2&proc2PauseLoop != 0, INVPCID: f.proc2&proc2INVPCID != 0, RDTSCP: f.tscAux,
			XSAVE: f.fpu != vcpu.FXSAVE, VirtualAPIC: f.virtualAPIC,
		}
		if err != nil {
			got = want{Err: err.Error()}
		}
		if diff := cmp.Diff(d.Want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		if err != nil {
			continue
		}
		for _, c := range []struct {
			name       string
			val        uint32
			capability uint64
		}{
			{"pin", f.pin, r.TruePin}, {"proc", f.proc, r.TrueProc}, {"proc2", f.proc2, r.Proc2},
			{"exit", f.exit, r.TrueExit}, {"entry", f.entry, r.TrueEntry},
		} {
			must, may := uint32(c.capability), uint32(c.capability>>32)
			if c.val&must != must || c.val&^may != 0 {
				t.Errorf("%s: %s controls %#x: must have %#x, may have %#x", file, c.name, c.val, must, may)
			}
		}
	}
}

// Each thing that a CPU can lack has its own line.
func TestUnusableCPUs(t *testing.T) {
	good := dumps(t)["i7_5600u.json"].registers(t)
	for _, tt := range []struct {
		name string
		set  func(r *Registers)
		want error
	}{
		{"nothing", func(r *Registers) {}, nil},
		{"no VMX", func(r *Registers) { r.Leaf1C &^= leaf1VMX }, ErrAbsent},
		{"firmware", func(r *Registers) { r.FeatureControl = featureLock }, errFirmware},
		{"firmware left it open", func(r *Registers) { r.FeatureControl = 0 }, nil},
		{"no NX", func(r *Registers) { r.Ext1D &^= ext1NX }, errNX},
		{"no FXSAVE", func(r *Registers) { r.Leaf1D &^= leaf1FXSR }, errFXSR},
		{"wide XCR0", func(r *Registers) { r.XCR0 |= 1 << 62 }, errXCR0},
		{"no secondary controls", func(r *Registers) { r.Proc2 = 0 }, errEPT},
		{"no EPT", func(r *Registers) { r.Proc2 &^= proc2EPT << 32 }, errEPT},
		{"no unrestricted guest", func(r *Registers) { r.Proc2 &^= proc2Unrestricted << 32 }, errUnrestricted},
		{"no write-back tables", func(r *Registers) { r.EPTVPID &^= capWriteBack }, errEPTForm},
		{"no INVEPT", func(r *Registers) { r.EPTVPID &^= capINVEPT }, errEPTForm},
		{"INVEPT of no kind", func(r *Registers) { r.EPTVPID &^= capINVEPTSingle | capINVEPTAll }, errEPTForm},
		{"no virtual NMIs", func(r *Registers) { r.TruePin &^= pinVirtualNMI << 32 }, errPin},
		{"no TPR shadow", func(r *Registers) { r.TrueProc &^= procTPRShadow << 32 }, errProc},
		{"no MSR bitmap", func(r *Registers) { r.TrueProc &^= procMSRBitmaps << 32 }, errProc},
		{"no TRUE controls", func(r *Registers) { r.Basic &^= basicTrue }, errForced},
		{"EFER not switched", func(r *Registers) { r.TrueExit &^= exitLoadEFER << 32 }, errSwitch},
		{"PAT not switched", func(r *Registers) { r.TrueEntry &^= entryLoadPAT << 32 }, errSwitch},
	} {
		r := good
		tt.set(&r)
		if _, err := Probe(r); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// noAPIC: a part of the virtual local APIC is of no use.
func noAPIC(f *features) bool { return !f.virtualAPIC && f.proc2&virtualAPIC == 0 }

// A CPU may lack each of these; then it is not used.
func TestOptional(t *testing.T) {
	good := dumps(t)["i7_5600u.json"].registers(t)
	for _, tt := range []struct {
		name string
		set  func(r *Registers)
		ok   func(f *features) bool
	}{
		{"VPID", func(r *Registers) { r.Proc2 &^= proc2VPID << 32 }, func(f *features) bool { return !f.vpid && f.proc2&proc2VPID == 0 }},
		{"INVVPID", func(r *Registers) { r.EPTVPID &^= capINVVPID }, func(f *features) bool { return !f.vpid && f.proc2&proc2VPID == 0 }},
		{"INVVPID of one", func(r *Registers) { r.EPTVPID &^= capINVVPIDSingle }, func(f *features) bool { return f.vpid && !f.invvpidSingle }},
		{"INVEPT of one", func(r *Registers) { r.EPTVPID &^= capINVEPTSingle }, func(f *features) bool { return !f.inveptSingle }},
		{"timer", func(r *Registers) { r.TruePin &^= pinTimer << 32 }, func(f *features) bool { return f.pin&pinTimer == 0 }},
		{"nothing", func(r *Registers) {}, func(f *features) bool { return f.virtualAPIC && f.proc2&virtualAPIC == proc2APICRegs|proc2Interrupts }},
		{"x2APIC virtualization", func(r *Registers) { r.Proc2 &^= proc2X2APIC << 32 }, noAPIC},
		{"APIC-register virtualization", func(r *Registers) { r.Proc2 &^= proc2APICRegs << 32 }, noAPIC},
		{"virtual-interrupt delivery", func(r *Registers) { r.Proc2 &^= proc2Interrupts << 32 }, noAPIC},
		{"no bus-lock detection, no notify exits", func(r *Registers) { r.Proc2 &^= (proc2BusLock | proc2Notify) << 32 },
			func(f *features) bool { return f.proc2&(proc2BusLock|proc2Notify) == 0 }},
		{"bus-lock detection", func(r *Registers) { r.Proc2 |= 1 << 62 }, func(f *features) bool { return f.proc2>>30 == 1 }},
		{"notify exits", func(r *Registers) { r.Proc2 |= 1 << 63 }, func(f *features) bool { return f.proc2>>30 == 2 }},
		{"RDTSCP", func(r *Registers) { r.Proc2 &^= proc2RDTSCP << 32 }, func(f *features) bool { return !f.tscAux }},
		{"XSAVEOPT", func(r *Registers) { r.LeafD1A = 0 }, func(f *features) bool { return f.fpu == vcpu.XSAVE }},
		{"XSAVE", func(r *Registers) { r.Leaf1C &^= leaf1OSXSAVE }, func(f *features) bool { return f.fpu == vcpu.FXSAVE && f.xcr0 == 0 }},
	} {
		r := good
		r.Proc2 |= virtualAPIC << 32
		tt.set(&r)
		f, err := probe(&r)
		if err != nil || !tt.ok(&f) {
			t.Errorf("without %s: %v, %+v", tt.name, err, f)
		}
	}
}
