// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/abi"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// handler answers one exit. It runs on the exit path: no allocation, bounded
// time, no trust in anything the guest wrote.
type handler func(r *Runner, v *part.VCPU, x *vcpu.Exit) action

// handlers is indexed by vcpu.Reason. It has an entry for every value of that
// type, so that the run loop needs no check; init fills those that do not exist.
var handlers = [256]handler{
	vcpu.Interrupted: lookAgain,
	vcpu.Window:      lookAgain,
	vcpu.CPUID:       cpuid,
	vcpu.RDMSR:       rdmsr,
	vcpu.WRMSR:       wrmsr,
	vcpu.Hypercall:   hypercall,
	vcpu.IO:          port,
	vcpu.Memory:      memory,
	vcpu.HLT:         hlt,
	vcpu.Pause:       pause,
	vcpu.XSETBV:      xsetbv,
	vcpu.CRWrite:     crWrite,
	vcpu.CRRead:      crRead,
	vcpu.DRAccess:    goOn,
	vcpu.Cache:       skip,
	vcpu.Monitor:     undefined,
	vcpu.RDPMC:       protection,
	vcpu.TSC:         unexpected,
	vcpu.Privileged:  undefined,
	vcpu.Exception:   reflect,
	vcpu.TaskSwitch:  taskSwitch,
	vcpu.Shutdown:    shutdown,
	vcpu.Init:        goOn,
	vcpu.Invalid:     invalid,
	vcpu.Unknown:     unexpected,
	vcpu.DRWrite:     drWrite,
	vcpu.APICWrite:   apicWrite,
	vcpu.Tick:        goOn, // the loop looks at the vCPU's word, the entry code at the CPU's
	vcpu.BusLock:     pause,
	vcpu.Notify:      pause,
	vcpu.Lost:        lost,
}

func init() {
	for i := range handlers {
		if handlers[i] == nil {
			handlers[i] = unexpected
		}
	}
}

func lookAgain(*Runner, *part.VCPU, *vcpu.Exit) action { return look }
func goOn(*Runner, *part.VCPU, *vcpu.Exit) action      { return resume }

// rarely handles what a handler without calls, and so without a stack frame, left.
func rarely(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	switch x.Reason {
	case vcpu.CPUID:
		return anyCPUID(r, v, x)
	case vcpu.RDMSR:
		return anyRDMSR(r, v, x)
	}
	return unexpected(r, v, x)
}

func fault(v *part.VCPU) action { return raise(v, x86.VecGP, true, 0) }

func undefined(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	return raise(v, x86.VecUD, false, 0)
}

func protection(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action { return fault(v) }

// apicWrite does the rest of a write to a local APIC that the CPU virtualizes.
func apicWrite(_ *Runner, v *part.VCPU, x *vcpu.Exit) action {
	v.APIC.Wrote(x.APIC.Reg, x.APIC.Vector)
	return look
}

// crash ends v's domain for what its guest did.
func crash(v *part.VCPU, why string) action {
	report(v, why)
	v.Dom.Crash(why)
	return look
}

// report says on the console why v's domain ends.
func report(v *part.VCPU, why string) {
	x := &v.Exit
	dbg.At(dbg.Warning).S("domain ").U(uint64(v.Dom.ID)).S(" vCPU ").U(uint64(v.ID)).S(": ").S(why).
		S("; exit ").S(x.Reason.String()).S(" at rip ").X(x.RIP).
		S(" code ").X(x.Raw[0]).S(" info ").X(x.Raw[1]).S(" ").X(x.Raw[2]).End()
}

// shutdown is what a PC does when its CPU shuts down: it resets. Linux reboots so
// where it finds no better way.
func shutdown(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	const why = "triple fault"
	report(v, why)
	v.Dom.End(abi.ShutdownReboot, why)
	return look
}

func taskSwitch(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	return crash(v, "hardware task switch, which is not supported")
}

func unexpected(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	return crash(v, "exit that the hypervisor does not know")
}

// reflect gives an intercepted exception back to the guest; the intercepts
// exist to break endless delivery loops (CVE-2015-5307, CVE-2015-8104).
func reflect(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.Event.Vector == x86.VecMC {
		return machineCheck(r, v)
	}
	// INT1: the handler returns behind it.
	if x.Event.Type == vcpu.SoftException && !r.advance(v, x) {
		return resume
	}
	v.HW.Inject(x.Event)
	return resume
}

// skip ignores the instruction: caches are coherent, and a guest cannot be
// allowed to write back or drop those of the machine.
func skip(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	r.advance(v, x)
	return resume
}

// lost ends a guest of which the CPU has nothing left to go on with.
func lost(_ *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	return crash(v, "the CPU lost the guest's state")
}

// pause is an exit of the spin-loop filter: whoever holds the lock may wait for this
// CPU. What waits first gets it for a moment. A guest that locks the bus, or keeps its
// CPU from taking events, has held up others; it does the same, and its exits are its
// own time.
func pause(r *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	if v.Attention() {
		return look
	}
	return r.yield(v)
}

func hlt(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if !r.advance(v, x) {
		return resume
	}
	v.APIC.Withdraw() // others will ask what it has pending
	v.SetWait(part.WaitHalt)
	return block
}

// hypercall answers the two most frequent calls: that which does nothing, and dom0's
// word that an access is answered.
func hypercall(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.CPL == 0 && x.Ahead {
		g := v.Regs
		if g.RAX == uint64(abi.CallNop) {
			st, val := hcall.Nop()
			g.RAX, g.RDX = uint64(st), val
			return resume
		}
		if to := r.calls.Heir(v.Dom, g); to != nil {
			g.RAX, g.RDX = uint64(abi.OK), 0
			return r.hand(v, to)
		}
	}
	return anyHypercall(r, v, x)
}

func anyHypercall(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.CPL != 0 {
		return undefined(r, v, x)
	}
	if !r.advance(v, x) {
		return resume
	}
	// A call that stops v's domain has set its attention word.
	if to := r.calls.Do(v); to != nil {
		return r.hand(v, to)
	}
	return resume
}

// advance skips the instruction of the exit, unless the backend has; raise takes that
// back. When the instruction must be executed again instead, it reports false, and the
// guest just resumes.
func (r *Runner) advance(v *part.VCPU, x *vcpu.Exit) bool {
	if x.Ahead {
		return true
	}
	if x.Len == 0 && !r.length(v, x) {
		return false
	}
	v.HW.Advance(x.Len)
	x.Ahead = true
	return true
}

// invalid is an entry that the CPU refused, or on some emulators a MOV to CR3
// or CR4 with reserved bits (safety.md, finding 3).
func invalid(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if r.isBadCRWrite(v) {
		return fault(v)
	}
	return crash(v, "invalid guest state")
}
