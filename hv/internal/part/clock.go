// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/internal/pvclock"
	"ringo/hv/x86"
	"ringo/mm/pt"
)

// startClock fixes the time base of a guest that is about to run for the first
// time: its TSCs and its clock begin at 0 now. dom0 sees the host's TSC.
func (d *Domain) startClock() {
	m := d.machine
	now := m.Now()
	d.clock = pvclock.Base{Rate: pvclock.NewRate(m.TSCHz)}
	if d.Privileged() {
		return
	}
	d.offset = -now
	for _, v := range d.VCPUs {
		v.Time.Offset = d.offset
		v.TimeChanged(now)
	}
}

// TimeChanged makes v.Time effective; now is the host's TSC.
func (v *VCPU) TimeChanged(now uint64) {
	v.HW.Set(x86.TSCOffset, v.Time.Offset)
	v.APIC.SetTSCOffset(v.Time.Offset, now)
	v.publishTime(false)
}

// SetSystemTime is a write to MSR_KVM_SYSTEM_TIME_NEW. It reports false for
// #GP. A record outside of RAM is not written, as on KVM.
func (v *VCPU) SetSystemTime(val uint64) bool {
	if !v.clock.Write(val) {
		return false
	}
	v.publishTime(false)
	return true
}

// publishTime writes the guest's clock record, if it has one: system time as of
// the base, seen from a TSC that may have been moved since. paused says that the
// domain has been paused.
func (v *VCPU) publishTime(paused bool) {
	a, on := v.clock.Addr()
	if !on {
		return
	}
	if hpa, _, ok := v.Dom.ramAt(a, 32, pt.Write); ok {
		v.base = v.Dom.clock
		v.base.TSC += v.Time.Offset - v.Dom.offset
		v.clock.Publish(v.Dom.machine.Phys, hpa, &v.base, paused)
	}
}

// SystemTime is MSR_KVM_SYSTEM_TIME_NEW.
func (v *VCPU) SystemTime() uint64 { return v.clock.Read() }

// WallClock is a write to MSR_KVM_WALL_CLOCK_NEW: the wall time, as it is known now, when
// the guest's clock began.
func (v *VCPU) WallClock(val uint64) bool {
	a, ok := pvclock.WallAddr(val)
	if !ok {
		return false
	}
	if hpa, _, ok := v.Dom.ramAt(a, 12, pt.Write); ok {
		m := v.Dom.machine
		b := v.Dom.clock
		b.WallNS = m.EpochNS.Load() + m.NS(-v.Dom.offset)
		v.clock.PublishWall(m.Phys, hpa, &b)
	}
	return true
}

// PairClock fills b with the wall time and v's TSC of the same moment, see pvclock.Pair.
func (v *VCPU) PairClock(b []byte) {
	m := v.Dom.machine
	now := m.Now()
	pvclock.Pair(b, m.EpochNS.Load()+m.NS(now), now+v.Time.Offset)
}

// SetWall has it be ns nanoseconds since 1970 now, for guests that ask from now on. It
// reports false if TSC 0 would be before 1970.
func (m *Machine) SetWall(ns uint64) bool {
	up := m.NS(m.Now())
	if ns < up {
		return false
	}
	m.EpochNS.Store(ns - up)
	return true
}
