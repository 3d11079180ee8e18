// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package account is the budget of dom0's memory. That does not grow after boot,
// and a page fault without a frame ends dom0, and the machine with it. So
// whoever keeps memory on somebody's behalf (the devices of a guest, the window
// of a decompressor, a connection) reserves it first, at a price that a test
// compares with the heap, and is refused while that much is not free.
//
// An eighth of the memory and 4 MiB cannot be reserved. That is for what is not
// worth an account: the program's own state, stacks, what is used once and is
// garbage then. The Go runtime knows the size of the memory (GOMEMLIMIT, see
// boot/kernel), so that garbage alone does not fill it.
package account

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"ringo/dom0/problem"
)

// collectAt is from how many bytes on a release collects the garbage that they
// have become, so that what is free in the budget is free in memory.
const collectAt = 8 << 20

// Budget is a memory and who has reserved what of it. A nil Budget has no limit.
// Its methods are safe for concurrent use.
type Budget struct {
	limit uint64

	mu    sync.Mutex
	freed *sync.Cond // something was given back; its lock is mu
	used  uint64
	all   []*Account // by time of creation
}

// Account is what is reserved for one purpose.
type Account struct {
	b    *Budget
	name string
	used uint64 // guarded by b.mu, as most is
	most uint64
}

// own is what the program itself needs, beside an eighth of its memory.
const own = 4 << 20

// New returns the budget of memory bytes.
func New(memory uint64) *Budget {
	b := &Budget{limit: memory - memory/8 - min(own, memory/4)}
	b.freed = sync.NewCond(&b.mu)
	return b
}

// Account returns the account with a name, which says in refusals what memory is
// for: "a guest". It is made at the first call.
func (b *Budget) Account(name string) *Account {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.all {
		if a.name == name {
			return a
		}
	}
	a := &Account{b: b, name: name}
	b.all = append(b.all, a)
	return a
}

// Reserve takes n bytes and returns the function that gives them back, which may
// be called more than once. Before that call nothing must refer to the memory any
// more. The error is one line, for the user. A nil Account has no limit.
func (a *Account) Reserve(n uint64) (release func(), err error) {
	if a == nil {
		return func() {}, nil
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.take(n)
}

// ReserveNext is Reserve for what is held briefly: it waits while n bytes are free
// but for what the same account holds. Who holds some of it must not call it.
func (a *Account) ReserveNext(n uint64) (release func(), err error) {
	if a == nil {
		return func() {}, nil
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	for free := a.b.limit - a.b.used; n > free && n <= free+a.used; free = a.b.limit - a.b.used {
		a.b.freed.Wait()
	}
	return a.take(n)
}

// take is Reserve. Preconditions: a.b.mu is held.
func (a *Account) take(n uint64) (release func(), err error) {
	if err := a.fits(n); err != nil {
		return nil, err
	}
	b := a.b
	a.used += n
	a.most = max(a.most, a.used)
	b.used += n
	return sync.OnceFunc(func() {
		if n >= collectAt {
			runtime.GC() // twice: pools of the libraries keep what they have once
			debug.FreeOSMemory()
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		a.used -= n
		b.used -= n
		b.freed.Broadcast()
	}), nil
}

// Check returns the error with which Reserve would refuse n bytes now.
func (a *Account) Check(n uint64) error {
	if a == nil {
		return nil
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.fits(n)
}

// fits is Check. Preconditions: a.b.mu is held.
func (a *Account) fits(n uint64) error {
	b := a.b
	free := b.limit - b.used
	if n <= free {
		return nil
	}
	other := ""
	if b.used > 0 {
		other = "destroy a guest, or "
	}
	more := (n-free)/7*8 + 1<<20 // of which seven eighths count
	return problem.New(problem.Full, fmt.Sprintf("%sboot with a dom0_mem= larger by %d MiB on the hypervisor's command line", other, more>>20),
		"dom0's memory is not enough: %s takes %d KiB, %d KiB are free", a.name, (n+1023)>>10, free>>10)
}

// Use is what an account holds, and the most that it held so far, in bytes.
type Use struct {
	Name        string
	Bytes, Most uint64
}

// Use returns all accounts and what can be reserved in all, in bytes.
func (b *Budget) Use() (all []Use, limit uint64) {
	if b == nil {
		return nil, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.all {
		all = append(all, Use{a.name, a.used, a.most})
	}
	return all, b.limit
}
