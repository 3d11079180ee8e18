// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "sync/atomic"

// Linux error numbers.
const (
	ePERM        = 1
	eNOENT       = 2
	eSRCH        = 3
	eINTR        = 4
	eBADF        = 9
	eAGAIN       = 11
	eNOMEM       = 12
	eACCES       = 13
	eFAULT       = 14
	eBUSY        = 16
	eEXIST       = 17
	eINVAL       = 22
	eMFILE       = 24
	eNOTTY       = 25
	eSPIPE       = 29
	eROFS        = 30
	eNOSYS       = 38
	eAFNOSUPPORT = 97
	eTIMEDOUT    = 110
)

//go:nosplit
func neg(e uint64) uint64 { return -e }

// keepRAX is returned by a system call that set RAX of its thread itself,
// because the thread may no longer be the current one.
const keepRAX = 1 << 63

// In table.
const (
	nrWrite     = 1
	nrSigreturn = 15
)

// The layer's own calls, made by enter.
const (
	sysRunner = 1000 + iota
	sysWait
	sysArm
	sysWaitIRQ
	sysOpenIRQ
	sysPrepareCPU
	sysLogRaw
	sysCrash
	sysLeave
	sysAudit
	sysMapDevice
	sysContiguous
	sysSetPin
	sysMaskPin
	sysRaise
)

// restart makes the thread repeat its system call when it runs again. SYSCALL
// has two bytes.
//
//go:nosplit
func restart(t *thread) { t.f.rip -= 2 }

// Preconditions of every handler: interrupts off, no lock held, t is current.
type handler func(c *cpu, t *thread) uint64

const (
	maxSyscall = 450
	ownFirst   = sysRunner
)

// unknown has a bit for every number that was reported as not implemented.
var unknown [maxSyscall/64 + 1]uint64

// syscallEntry is called by the assembly entry with the registers saved.
//
//go:nosplit
func syscallEntry() {
	c := self()
	t := thr(c.cur)
	c.nSyscalls++
	nr := t.f.rax
	if nr != nrSigreturn {
		t.urgHold = 0 // it has come forward
	}
	var h handler
	if nr < uint64(len(table)) {
		h = table[nr]
	} else if nr-ownFirst < uint64(len(ownTable)) {
		h = ownTable[nr-ownFirst]
	} else {
		h = hookCall(nr)
	}
	r := neg(eNOSYS)
	if h != nil {
		r = h(c, t)
	} else {
		reportUnknown(nr)
	}
	if r != keepRAX {
		t.f.rax = r
	}
	leave(c)
}

//go:nosplit
func reportUnknown(nr uint64) {
	if nr < maxSyscall {
		w := &unknown[nr/64]
		for {
			old := atomic.LoadUint64(w)
			if old>>(nr&63)&1 != 0 {
				return
			}
			if atomic.CompareAndSwapUint64(w, old, old|1<<(nr&63)) {
				break
			}
		}
	}
	say("ringo: system call ")
	sayDec(nr)
	say(" is not implemented\n")
}

var table = [maxSyscall]handler{
	0:       sysRead,
	nrWrite: sysWrite,
	2:       sysNoEnt, // open
	3:       sysClose,
	4:       sysNoEnt, // stat
	5:       sysBadFD, // fstat
	6:       sysNoEnt, // lstat
	8:       sysSeek,
	9:       sysMmap,
	10:      sysMprotect,
	11:      sysMunmap,
	12:      sysZero, // brk
	13:      sysSigaction,
	14:      sysSigprocmask,
	15:      sysSigreturn,
	16:      sysNotTTY, // ioctl
	24:      sysYield,
	27:      sysMincore,
	28:      sysMadvise,
	35:      sysNanosleep,
	39:      sysGetpid,
	41:      sysNoSocket,
	56:      sysClone,
	60:      sysExit,
	63:      sysUname,
	72:      sysFcntl,
	79:      sysNoEnt,    // getcwd
	83:      sysReadOnly, // mkdir
	84:      sysNoEnt,    // rmdir
	87:      sysNoEnt,    // unlink
	89:      sysNoEnt,    // readlink
	97:      sysInval,    // getrlimit
	102:     sysZero,     // getuid
	104:     sysZero,     // getgid
	107:     sysZero,     // geteuid
	108:     sysZero,     // getegid
	110:     sysZero,     // getppid
	131:     sysSigaltstack,
	157:     sysInval, // prctl
	158:     sysArchPrctl,
	186:     sysGettid,
	202:     sysFutex,
	203:     sysSetaffinity,
	204:     sysGetaffinity,
	213:     sysEpollCreate,
	217:     sysBadFD, // getdents64
	228:     sysClockGettime,
	230:     sysClockNanosleep,
	231:     sysExitGroup,
	233:     sysEpollCtl,
	234:     sysTgkill,
	257:     sysNoEnt,    // openat
	258:     sysReadOnly, // mkdirat
	262:     sysNoEnt,    // newfstatat
	263:     sysNoEnt,    // unlinkat
	267:     sysNoEnt,    // readlinkat
	269:     sysNoEnt,    // faccessat
	281:     sysEpollWait,
	290:     sysEventfd,
	291:     sysEpollCreate,
	302:     sysInval, // prlimit64
	318:     sysGetrandom,
	439:     sysNoEnt, // faccessat2
}

var ownTable = [...]handler{
	sysRunner - ownFirst:     ownRunner,
	sysWait - ownFirst:       ownWait,
	sysArm - ownFirst:        ownArm,
	sysWaitIRQ - ownFirst:    ownWaitIRQ,
	sysOpenIRQ - ownFirst:    ownOpenIRQ,
	sysPrepareCPU - ownFirst: ownPrepareCPU,
	sysLogRaw - ownFirst:     ownConsole,
	sysCrash - ownFirst:      ownCrash,
	sysLeave - ownFirst:      ownLeave,
	sysAudit - ownFirst:      ownAudit,
	sysMapDevice - ownFirst:  ownMapDevice,
	sysContiguous - ownFirst: ownContiguous,
	sysSetPin - ownFirst:     ownSetPin,
	sysMaskPin - ownFirst:    ownMaskPin,
	sysRaise - ownFirst:      ownRaise,
}

//go:nosplit
func sysZero(c *cpu, t *thread) uint64 { return 0 }

//go:nosplit
func sysInval(c *cpu, t *thread) uint64 { return neg(eINVAL) }

//go:nosplit
func sysNoEnt(c *cpu, t *thread) uint64 { return neg(eNOENT) }

//go:nosplit
func sysBadFD(c *cpu, t *thread) uint64 { return neg(eBADF) }

//go:nosplit
func sysSeek(c *cpu, t *thread) uint64 { return neg(eSPIPE) }

//go:nosplit
func sysNotTTY(c *cpu, t *thread) uint64 { return neg(eNOTTY) }

//go:nosplit
func sysNoSocket(c *cpu, t *thread) uint64 { return neg(eAFNOSUPPORT) }

//go:nosplit
func sysReadOnly(c *cpu, t *thread) uint64 { return neg(eROFS) }

//go:nosplit
func sysGetpid(c *cpu, t *thread) uint64 { return 1 }

//go:nosplit
func sysGettid(c *cpu, t *thread) uint64 { return uint64(t.tid) }
