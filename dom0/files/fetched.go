// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"ringo/dom0/account"
	"ringo/dom0/loader"
	"ringo/dom0/problem"
)

// fetchedPrefix is that of files that came over the network.
const fetchedPrefix = "net:"

// Bounds of what is fetched.
const (
	blockSize   = 1 << 20
	maxFetched  = 64
	maxNameLen  = 100
	blockPrice  = blockSize + blockSize/32 // with what the Go runtime keeps about it
	maxFetching = 4
)

// Fetched keeps files that came over the network, in dom0's memory, until they are
// forgotten. Its methods are safe for concurrent use.
type Fetched struct {
	account *account.Account

	mu  sync.Mutex
	all map[string]*fetched
}

// Transfer is how far a file has come. Size is -1 while it is not known.
type Transfer struct {
	Name   string // "net:NAME"
	From   string
	Done   int64
	Size   int64
	Ended  bool
	SHA256 string // of a file that is whole
	Err    error
}

// fetched is a file, or what is there of it.
type fetched struct {
	Transfer
	blocks   [][]byte
	releases []func()
	stop     func()
	stopped  bool
}

// NewFetched returns a store that reserves memory from a.
func NewFetched(a *account.Account) *Fetched {
	return &Fetched{account: a, all: map[string]*fetched{}}
}

// Content is what is to be fetched: Size is -1 where it is not known.
type Content struct {
	R    io.ReadCloser
	Size int64
}

var errStopped = errors.New("it was given up")

// Fetch begins to fetch a file, under a name that no other has; open gets its content.
// stop ends open and what it has returned.
func (k *Fetched) Fetch(name, from string, open func() (Content, error), stop func()) error {
	if !validName(name) {
		return problem.New(problem.Invalid, fmt.Sprintf("use letters, digits, dot, dash and underscore, %d at most", maxNameLen), "%q is no name for a file", name)
	}
	f := &fetched{Transfer: Transfer{Name: fetchedPrefix + name, From: from, Size: -1}, stop: stop}
	k.mu.Lock()
	defer k.mu.Unlock()
	busy := 0
	for _, o := range k.all {
		if !o.Ended {
			busy++
		}
	}
	switch old := k.all[name]; {
	case old != nil && (old.Err == nil || !old.Ended):
		return problem.New(problem.Exists, "choose another name, or forget it: fetch -d "+name, "there is a file %s", old.Name)
	case old == nil && len(k.all) == maxFetched:
		return problem.New(problem.Full, "forget some: fetch -d NAME", "%d files are kept already", maxFetched)
	case busy == maxFetching:
		return problem.New(problem.Busy, "wait for one", "%d files are being fetched already", maxFetching)
	}
	k.all[name] = f
	go k.run(f, open)
	return nil
}

func validName(s string) bool {
	if s == "" || len(s) > maxNameLen || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-+", c) >= 0) {
			return false
		}
	}
	return true
}

// run fetches a file.
func (k *Fetched) run(f *fetched, open func() (Content, error)) {
	err := k.read(f, open)
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.stopped {
		err = errStopped
	}
	if f.Ended, f.Err = true, err; err != nil {
		f.free()
	}
}

// free gives the memory back.
func (f *fetched) free() {
	f.blocks = nil
	for _, r := range f.releases {
		r()
	}
	f.releases = nil
}

func (k *Fetched) read(f *fetched, open func() (Content, error)) error {
	c, err := open()
	if err != nil {
		return err
	}
	defer c.R.Close()
	k.mu.Lock()
	f.Size = c.Size
	k.mu.Unlock()
	if c.Size >= 0 {
		// All at once: so it is refused before anything comes.
		if err := k.reserve(f, uint64(c.Size+blockSize)/blockSize*blockPrice); err != nil {
			return err
		}
	}
	sum := sha256.New()
	for {
		if c.Size < 0 {
			if err := k.reserve(f, blockPrice); err != nil {
				return err
			}
		} else if f.Done > c.Size {
			return fmt.Errorf("more comes than the %d bytes that were announced", c.Size)
		}
		b := make([]byte, blockSize)
		n, err := k.fill(f, c.R, b)
		sum.Write(b[:n])
		k.mu.Lock()
		f.blocks = append(f.blocks, b[:n:n])
		k.mu.Unlock()
		switch {
		case err == io.EOF && c.Size >= 0 && f.Done != c.Size:
			return fmt.Errorf("the connection ended after %d of %d bytes", f.Done, c.Size)
		case err == io.EOF:
			k.mu.Lock()
			f.SHA256 = hex.EncodeToString(sum.Sum(nil))
			k.mu.Unlock()
			return nil
		case err != nil:
			return err
		}
	}
}

// reserve takes n bytes for a file.
func (k *Fetched) reserve(f *fetched, n uint64) error {
	release, err := k.account.Reserve(n)
	if err == nil {
		k.mu.Lock()
		f.releases = append(f.releases, release)
		k.mu.Unlock()
	}
	return err
}

// fill reads until b is full, and counts.
func (k *Fetched) fill(f *fetched, r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var got int
		got, err = r.Read(b[n:min(len(b), n+64<<10)])
		n += got
		k.mu.Lock()
		f.Done += int64(got)
		k.mu.Unlock()
	}
	return n, err
}

// Transfers are all files that are kept, being fetched, or failed, by name.
func (k *Fetched) Transfers() (all []Transfer) {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.all {
		all = append(all, f.Transfer)
	}
	slices.SortFunc(all, func(a, b Transfer) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Forget gives a file up. Who reads it now may read on.
func (k *Fetched) Forget(name string) error {
	name = strings.TrimPrefix(name, fetchedPrefix)
	none := problem.New(problem.NotFound, "the command files lists what there is", "no file %q was fetched", name)
	if k == nil {
		return none
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.all[name]
	if f == nil {
		return none
	}
	delete(k.all, name)
	f.stopped = true
	if f.stop(); f.Ended {
		f.free()
	}
	return nil
}

// source is a file that is whole.
func (k *Fetched) source(name string) (s loader.Source, ok bool) {
	name, ok = strings.CutPrefix(name, fetchedPrefix)
	if k == nil || !ok {
		return s, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.all[name]
	if f == nil || !f.Ended || f.Err != nil {
		return s, false
	}
	return loader.Source{Name: f.Name, R: blocks{f.blocks, f.Done}, Size: f.Done}, true
}

// blocks is a file's content. It is an io.ReaderAt.
type blocks struct {
	all  [][]byte
	size int64
}

func (b blocks) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("a negative offset")
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= b.size {
			return n, io.EOF
		}
		n += copy(p[n:], b.all[at/blockSize][at%blockSize:])
	}
	return n, nil
}
