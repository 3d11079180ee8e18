// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import "sync"

// stop is what a disk whose errors pause its domain has to do with them.
type stop struct {
	mu     sync.Mutex // guards what follows
	failed func(err error)
	again  func()
	err    error
}

// OnError has f called when the disk has failed, and its guest is to learn nothing of it;
// the guest's device calls [Disk.Fail] then. f must not block. It is to be called before
// the guest has the disk.
func (d *Disk) OnError(f func(err error)) { d.stop.failed = f }

// Stops reports whether the guest is to learn nothing of errors.
func (d *Disk) Stops() bool { return d.stop.failed != nil }

// Fail says that the disk has failed, and that what it was asked for waits.
//
// Preconditions: Stops.
func (d *Disk) Fail(err error) {
	d.stop.mu.Lock()
	d.stop.err = err
	d.stop.mu.Unlock()
	d.stop.failed(err)
}

// Failure returns why what the disk was asked for waits, nil if it does not.
func (d *Disk) Failure() error {
	d.stop.mu.Lock()
	defer d.stop.mu.Unlock()
	return d.stop.err
}

// OnRetry has f called when what waits is to be tried again.
func (d *Disk) OnRetry(f func()) {
	d.stop.mu.Lock()
	defer d.stop.mu.Unlock()
	d.stop.again = f
}

// Retry has what waits since the disk has failed tried again.
func (d *Disk) Retry() {
	d.stop.mu.Lock()
	failed, again := d.stop.err != nil, d.stop.again
	d.stop.err = nil
	d.stop.mu.Unlock()
	if failed && again != nil {
		again()
	}
}
