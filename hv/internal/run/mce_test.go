// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/boot/mce"
	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/frame"
)

// ramOf is an address in d's memory.
func (g *rig) ramOf(d *part.Domain) mm.HPA {
	want := frame.Domain(int(d.ID) % part.MaxDomains)
	for a := mm.HPA(ramBase); a < ramBase+ramSize; a += mm.PageSize {
		if o, kind, _ := g.m.Frames.Info(a); o == want && kind == frame.RAM {
			return a
		}
	}
	g.t.Fatal("the domain has no memory")
	return 0
}

func mcStep() vcputest.Step {
	return vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.HardException, Vector: x86.VecMC}}}
}

// A machine check ends the guest whose memory has failed, and the one that has
// used it; all others go on.
func TestMachineCheck(t *testing.T) {
	const crashed = abi.ShutdownCrash
	for _, tt := range []struct {
		name    string
		verdict mce.Verdict
		whose   string // b interrupted a
		ended   string
	}{
		{"nothing lost", mce.Harmless, "", ""},
		{"lost by the interrupted one", mce.Lost, "a", "a"},
		{"lost by another one", mce.Lost, "b", "b"},
		{"nobody's", mce.Lost, "free", ""},
		{"used", mce.Used, "a", "a"},
		{"another one's, used", mce.Used, "b", "ab"},
	} {
		g := newRig(t)
		da, _ := g.guest("a", mcStep(), exit(vcpu.HLT, 1))
		db, _ := g.guest("b", exit(vcpu.HLT, 1))
		pages := map[string]mm.HPA{"a": g.ramOf(da), "b": g.ramOf(db), "free": ramBase + ramSize - mm.PageSize}
		if o, _, _ := g.m.Frames.Info(pages["free"]); o != frame.Free {
			for a := mm.HPA(ramBase); ; a += mm.PageSize {
				if o, _, _ := g.m.Frames.Info(a); o == frame.Free {
					pages["free"] = a
					break
				}
			}
		}
		g.mc.Verdict = tt.verdict
		if a, ok := pages[tt.whose]; ok {
			g.mc.Pages[0], g.mc.N = uint64(a), 1
		}
		da.Unpause()
		db.Unpause()
		g.run()
		ended := ""
		if info(da).Shutdown == crashed {
			ended += "a"
		}
		if info(db).Shutdown == crashed {
			ended += "b"
		}
		if ended != tt.ended || g.ended != "" {
			t.Errorf("%s: %q ended, want %q; dom0 %q", tt.name, ended, tt.ended, g.ended)
		}
		if gone, marked := g.m.Frames.Retired(); gone+marked != g.mc.N {
			t.Errorf("%s: %d frames retired, %d marked, want %d", tt.name, gone, marked, g.mc.N)
		}
	}
}

// A page that fails while the hypervisor runs ends its owner before it runs again.
func TestLostPage(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a", exit(vcpu.Cache, 2), exit(vcpu.HLT, 1))
	g.lost = []uint64{uint64(g.ramOf(d)), uint64(g.ramOf(g.dom0)), 1 << 45}
	d.Unpause()
	g.run()
	if len(g.lost) != 0 || info(d).Shutdown != abi.ShutdownCrash || len(v.Only(vcputest.OpRun)) != 0 {
		t.Errorf("%d pages left, ended %v, %d runs", len(g.lost), info(d).Shutdown, len(v.Only(vcputest.OpRun)))
	}
	if g.ended != "" || info(g.dom0).Shutdown != abi.ShutdownNone {
		t.Errorf("dom0 ended: %q", g.ended)
	}
}
