// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package queue

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ringo/drivers/block"
)

// A device that had MaxResets resets within ResetWindow is left alone.
const (
	MaxResets   = 3
	ResetWindow = 10 * time.Minute
)

// Device is what a keeper does with a device. The keeper's goroutine calls it.
type Device interface {
	// Check looks at the device, and mends what a reset is too much for. It returns why
	// it must be reset, "" if it need not be.
	Check() string
	// Disable ends all that the device does: when it returns nil, it uses no memory.
	Disable() error
	// Enable makes a device that was disabled serve its queues. The keeper opens them.
	Enable() error
}

// Aborter is a device that can be asked to forget a command, whose answer comes then. An
// error means that it must be reset.
type Aborter interface {
	Abort(queue, slot int) error
}

// Nudger is commands whose device may have overlooked what it was told of. Nudge tells
// it again, with the queue locked.
type Nudger interface{ Nudge() }

// While a device has commands the keeper looks each lookTime. One that it has seen more
// than overlooked times may have an answer of which no interrupt has told: it looks for
// that itself.
const (
	lookTime   = time.Second / 2
	overlooked = 2
)

// Config is what a keeper needs to know.
type Config struct {
	// Timeout is how long a command may take before it is aborted, and again before the
	// device is reset; or before that, where nothing can be aborted.
	Timeout time.Duration
	// Polling says that there are no interrupts.
	Polling bool
	// Present asks the function's configuration space whether it is there.
	Present func() bool
	// Stop turns bus mastering off: after it returns the device writes no memory.
	Stop func()
	// Log takes lines for people.
	Log func(line string)
}

// Keeper looks after a device and its queues.
type Keeper struct {
	Config
	d      Device
	queues []*Queue
	begin  time.Time
	clock  atomic.Int64 // since begin, as of the last look
	wake   chan struct{}
	quit   chan struct{}
	ended  chan struct{}

	mu     sync.Mutex // guards what follows
	dead   error      // why requests fail, nil while it works
	resets []time.Time
}

var (
	errGone   = fmt.Errorf("it does not answer any more: %w", block.ErrGone)
	errClosed = fmt.Errorf("it is shut down: %w", block.ErrGone)
)

// Keep opens the queues of a device that is enabled, and looks after it until Close.
func Keep(d Device, c Config, queues []*Queue) *Keeper {
	k := &Keeper{
		Config: c, d: d, queues: queues, begin: time.Now(),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, q := range queues {
		q.clock, q.wake, q.polled = &k.clock, k.Wake, c.Polling
		q.Open()
	}
	go k.watch()
	return k
}

// Wake makes the keeper look now. It does not block.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// watch looks after the device until Close: now and then, and each millisecond while a
// device without interrupts has something to do.
func (k *Keeper) watch() {
	defer close(k.ended)
	t := time.NewTimer(0)
	defer t.Stop()
	for k.Dead() == nil {
		period := k.Timeout / 10
		switch {
		case !k.busy():
		case k.Polling:
			period = time.Millisecond
		default:
			period = min(period, lookTime)
		}
		t.Reset(period)
		select {
		case <-k.quit:
			return
		case <-t.C:
		case <-k.wake:
		}
		k.clock.Store(int64(time.Since(k.begin)))
		k.guard(k.look)
	}
}

func (k *Keeper) busy() bool {
	for _, q := range k.queues {
		if q.busy() {
			return true
		}
	}
	return false
}

// guard calls f, whose panic is the device's end.
func (k *Keeper) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			k.Stop()
			k.Log(fmt.Sprintf("its driver has failed: %v", v))
			k.fail(fmt.Errorf("its driver has failed: %w", block.ErrDevice))
		}
	}()
	f()
}

// look takes what was overlooked, and acts on what takes too long.
func (k *Keeper) look() {
	why := k.d.Check()
	for i := 0; i < len(k.queues) && why == ""; i++ {
		why = k.lookAt(i)
	}
	if why != "" {
		k.reset(why)
	}
}

// lookAt returns why a queue's device must be reset, "" if it need not be.
func (k *Keeper) lookAt(i int) string {
	q := k.queues[i]
	if k.Polling {
		q.service()
	}
	if !k.Polling && q.stale() && q.service() {
		k.Log(q.name + ": an interrupt was lost")
	}
	late, wrong := q.late(k.Timeout)
	a, ok := k.d.(Aborter)
	if wrong != "" {
		return wrong
	}
	for _, l := range late {
		switch {
		case !ok:
			return fmt.Sprintf("%s: a command is not finished after %v", q.name, k.Timeout)
		case l.again:
			return fmt.Sprintf("%s: a command is not finished after %v, nor was it aborted", q.name, 2*k.Timeout)
		case !q.abort(l.id, k.Timeout):
			continue
		}
		k.Log(fmt.Sprintf("%s: a command is not finished after %v, aborting it", q.name, k.Timeout))
		if err := a.Abort(i, l.id); err != nil {
			return "it does not abort commands: " + err.Error()
		}
	}
	return ""
}

// reset takes the device back to its start, and gives it again what it had.
func (k *Keeper) reset(why string) {
	if !k.Present() {
		k.gone()
		return
	}
	if k.tooOften() {
		k.Log(fmt.Sprintf("%s; it was reset %d times in %v: it is left alone", why, MaxResets, ResetWindow))
		k.halt()
		k.fail(fmt.Errorf("%s, again and again: %w", why, block.ErrDevice))
		return
	}
	k.Log(why + ": resetting it")
	if err := k.d.Disable(); err != nil {
		k.Stop()
		if !k.Present() {
			k.gone()
			return
		}
		k.Log("it cannot be reset: " + err.Error())
		k.fail(fmt.Errorf("it cannot be reset, %v: %w", err, block.ErrDevice))
		return
	}
	for _, q := range k.queues {
		q.Withdraw(true)
	}
	if err := k.d.Enable(); err != nil {
		k.Log("it does not start again: " + err.Error())
		k.halt()
		k.fail(fmt.Errorf("it does not start again, %v: %w", err, block.ErrDevice))
		return
	}
	for _, q := range k.queues {
		q.Open()
	}
}

// tooOften counts a reset.
func (k *Keeper) tooOften() bool {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.resets) > 0 && now.Sub(k.resets[0]) > ResetWindow {
		k.resets = k.resets[1:]
	}
	k.resets = append(k.resets, now)
	return len(k.resets) > MaxResets
}

// halt ends a device that does not work: it writes no memory from now on.
func (k *Keeper) halt() {
	if k.d.Disable() != nil {
		k.Stop()
	}
}

// gone ends a device that was taken out.
func (k *Keeper) gone() {
	k.Stop()
	k.Log("it is gone")
	k.fail(errGone)
}

// fail ends all requests, those to come as well.
//
// Preconditions: the device does not write memory.
func (k *Keeper) fail(err error) {
	k.mu.Lock()
	if k.dead == nil {
		k.dead = err
	}
	err = k.dead
	k.mu.Unlock()
	for _, q := range k.queues {
		q.stop(err)
	}
}

// Dead returns why the device does nothing any more, or nil.
func (k *Keeper) Dead() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

// Close takes no more requests, waits for those that the device has, has what disks hold
// put on the medium, and disables the device after shutdown, which may be nil.
func (k *Keeper) Close(shutdown func() error, disks ...*Disk) (err error) {
	for _, q := range k.queues {
		q.close()
	}
	for _, q := range k.queues {
		q.drain(k.Timeout)
	}
	for _, d := range disks {
		if k.Dead() == nil {
			err = errors.Join(err, d.sync())
		}
	}
	close(k.quit)
	<-k.ended
	if k.Dead() != nil {
		return err
	}
	for _, q := range k.queues {
		q.Pause()
	}
	if shutdown != nil {
		err = errors.Join(err, shutdown())
	}
	k.halt()
	k.fail(errClosed)
	return err
}
