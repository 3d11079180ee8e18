// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/nvme/nvmetest"
)

// disk is a namespace with its controller.
type disk struct {
	*Disk
	c *Controller
}

func (d disk) Dead() error  { return d.c.Dead() }
func (d disk) Close() error { return d.c.Close() }

// start starts a driver on a device.
func start(dev *nvmetest.Device, log func(string)) (*Controller, error) {
	return Start(Config{
		Regs: dev, Arena: dev, Queues: 4, Bind: dev.Bind, Present: dev.Present, Stop: dev.Stop, Log: log,
	})
}

// target makes devices for the conformance test.
func target(change func(*nvmetest.Device)) func() *blocktest.Target {
	return func() *blocktest.Target {
		dev := nvmetest.New()
		if change != nil {
			change(dev)
		}
		return &blocktest.Target{
			Device: dev, SetFate: dev.SetFate, Lies: 3, Polling: dev.Messages == 0,
			Start: func(log func(string)) (blocktest.Disk, error) {
				c, err := start(dev, log)
				if err != nil {
					return nil, err
				}
				if len(c.Disks()) != 1 {
					return nil, errors.New("no disk")
				}
				return disk{c.Disks()[0], c}, nil
			},
		}
	}
}

// rig is a driver on a device in memory.
type rig struct {
	*blocktest.Rig
	dev *nvmetest.Device
}

// run lets a test set the device's own kinds of faults.
func run(t *testing.T, change func(*nvmetest.Device), test func(r *rig)) {
	t.Helper()
	blocktest.With(t, target(change), func(r *blocktest.Rig) { test(&rig{r, r.Device.(*nvmetest.Device)}) })
}

func TestInfo(t *testing.T) {
	run(t, nil, func(r *rig) {
		want := block.Info{
			Model: "A disk in memory[1m", Serial: "SERIAL1", Firmware: "1.0", Blocks: 1 << 20, BlockSize: 512, MaxBlocks: 1024, MaxEmpty: 1 << 16,
			Volatile: true, Discard: true, WriteZeroes: true,
		}
		if d := r.Disk.(disk); d.Info() != want || d.Queues() != 4 || d.ID() != 1 {
			t.Errorf("%+v, %d queues, namespace %d", d.Info(), d.Queues(), d.ID())
		}
	})
}

// The conformance test, also where the device has few slots, queues or interrupts, or
// small transfers.
func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*nvmetest.Device){
		"usual": nil,
		"small": func(d *nvmetest.Device) { d.Entries, d.Queues, d.MDTS = 2, 1, 1 },
		"one":   func(d *nvmetest.Device) { d.Messages = 1 },
		"none":  func(d *nvmetest.Device) { d.Messages = 0 },
		"deep":  func(d *nvmetest.Device) { d.Entries, d.MDTS = 65536, 0 },
	} {
		t.Run(name, func(t *testing.T) { blocktest.Run(t, target(change)) })
	}
}

// A random device ends no driver.
func TestHostile(t *testing.T) { blocktest.Hostile(t, target(nil), 20) }

// Statuses become errors of their kinds; what may go better another time is tried again.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status uint16
		times  int // how often the device says so
		asked  int
		want   error
	}{
		{0x281, 9, 1, block.ErrMedia},
		{0x281 | noRetry, 9, 1, block.ErrMedia},
		{0x06, 1, 2, nil},
		{0x06, 3, 4, nil},
		{0x06, 9, 4, block.ErrDevice},
		{0x06 | noRetry, 9, 1, block.ErrDevice},
		{0x20 | noRetry, 9, 1, block.ErrReadOnly},
		{0x80 | noRetry, 9, 1, block.ErrInvalid},
	} {
		run(t, nil, func(r *rig) {
			asked := 0
			r.dev.Fault = func(cmd nvmetest.Command) (f nvmetest.Fault) {
				if cmd.Queue != 0 {
					if asked++; asked <= c.times {
						f.Status = c.status
					}
				}
				return f
			}
			err := r.Do(block.Request{Op: block.Read, Start: 7, Blocks: 1, Data: r.Data(512)})
			if !errors.Is(err, c.want) || asked != c.asked {
				t.Errorf("status %#x, %d times: %v after %d tries, want %v after %d", c.status, c.times, err, asked, c.want, c.asked)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "blocks 7 to 7: ") {
				t.Errorf("%v does not say where", err)
			}
		})
	}
}

// Devices that stall, forget and lie: the request succeeds in the end, after what the
// driver says it did, and other requests as well.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  nvmetest.Fault
		says   string
		resets int
	}{
		{"silent", nvmetest.Fault{Silent: true}, "an interrupt was lost", 1},
		{"forgotten", nvmetest.Fault{Drop: true}, "aborting it", 1},
		{"deaf", nvmetest.Fault{Deaf: true}, "nor was it aborted: resetting it", 2},
		{"other command", nvmetest.Fault{WrongID: true}, "which it was not given: resetting it", 2},
		{"other queue", nvmetest.Fault{WrongFrom: true}, "a completion of queue 2", 2},
		{"twice", nvmetest.Fault{Twice: true}, "which it was not given: resetting it", 2},
		{"late", nvmetest.Fault{Delay: 7 * time.Second}, "aborting it", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, nil, func(r *rig) {
				first := true
				r.dev.Fault = func(cmd nvmetest.Command) (f nvmetest.Fault) {
					if cmd.Queue == 1 && first {
						f, first = c.fault, false
					}
					return f
				}
				data := r.Data(4096)
				copy(data[0].Bytes, "precious")
				r.OK(block.Request{Op: block.Write, Start: 8192, Blocks: 8, Data: data})
				time.Sleep(3 * Timeout) // what came twice is seen by then
				back := r.Data(4096)
				r.OK(block.Request{Op: block.Read, Start: 8192, Blocks: 8, Data: back})
				if !bytes.Equal(back[0].Bytes, data[0].Bytes) {
					t.Error("it is not what was written")
				}
				if !r.Said(c.says) || r.dev.Resets() != c.resets {
					t.Errorf("%d resets; %q", r.dev.Resets(), r.Log())
				}
				r.Model(5, 3)
			})
		})
	}
}

// Devices that say strange things about themselves are refused, or what is strange of
// them is left out; none ends the driver.
func TestStrange(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*nvmetest.Device)
		want   string
	}{
		"gone":  {func(d *nvmetest.Device) { d.Vanish() }, "does not answer"},
		"stuck": {func(d *nvmetest.Device) { d.Stick() }, "does not stop"},
		"small": {func(d *nvmetest.Device) { d.Entries = 1 }, "no room"},
		"deaf": {func(d *nvmetest.Device) {
			d.Fault = func(nvmetest.Command) nvmetest.Fault { return nvmetest.Fault{Deaf: true} }
		}, "does not say what it is"},
		"fails": {func(d *nvmetest.Device) {
			d.Fault = func(nvmetest.Command) nvmetest.Fault { return nvmetest.Fault{Status: 6} }
		}, "does not say what it is"},
		"lies": {func(d *nvmetest.Device) {
			d.Fault = func(nvmetest.Command) nvmetest.Fault { return nvmetest.Fault{WrongID: true} }
		}, "not given"},
		"block size":  {says(0, func(p []byte) { p[130] = 30 }), ""},
		"no size":     {says(0, func(p []byte) { p[130] = 0 }), ""},
		"metadata":    {says(0, func(p []byte) { p[128] = 8 }), ""},
		"format":      {says(0, func(p []byte) { p[26] = 15 }), ""},
		"huge":        {says(0, func(p []byte) { copy(p, "\xff\xff\xff\xff\xff\xff\xff\xff") }), ""},
		"empty":       {says(0, func(p []byte) { clear(p[:8]) }), ""},
		"namespaces":  {says(2, func(p []byte) { fill(p, 1) }), ""},
		"no transfer": {says(1, func(p []byte) { p[77] = 255 }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := nvmetest.New()
				c.change(dev)
				d, err := start(dev, func(string) {})
				if err == nil {
					for _, n := range d.Disks() {
						if i := n.Info(); i.BlockSize < 512 || i.BlockSize > 4096 || i.MaxBlocks == 0 || i.Blocks == 0 {
							t.Errorf("%+v", i)
						}
					}
					_ = d.Close()
				}
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if err != nil && name != "gone" && name != "stuck" && name != "small" && !dev.Stopped() && dev.Read32(regCSTS)&1 != 0 {
					t.Error("it still works")
				}
			})
		})
	}
}

func says(what uint32, f func(page []byte)) func(*nvmetest.Device) {
	return func(d *nvmetest.Device) {
		d.Identify = func(n uint32, page []byte) {
			if n == what {
				f(page)
			}
		}
	}
}

func fill(p []byte, v byte) {
	for i := range p {
		p[i] = v
	}
}

// FuzzHostile looks for a device that ends the driver, by what decides about its faults.
func FuzzHostile(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { blocktest.HostileOne(t, target(nil), seed) })
}
