// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/nvme/nvmetest"
)

// A device that fails is reset, with requests under way on all queues; none is lost.
func TestReset(t *testing.T) {
	run(t, func(d *nvmetest.Device) {
		d.Fault = func(c nvmetest.Command) nvmetest.Fault { return nvmetest.Fault{Delay: 200 * time.Microsecond} }
	}, func(r *rig) {
		for i := range 3 {
			go func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				r.dev.Die()
			}()
			r.model(uint64(i), 30)
			time.Sleep(resetWindow)
		}
		if n := r.dev.Resets(); n != 4 {
			t.Errorf("enabled %d times; %q", n, r.log)
		}
	})
}

// A device that fails again and again is left alone; requests fail, at once from then on.
func TestLeftAlone(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.dev.Fault = func(c nvmetest.Command) (f nvmetest.Fault) {
			f.WrongID = c.Queue != 0
			return f
		}
		data := r.data(512, 0)
		if err := r.do(block.Request{Op: block.Write, Start: 0, Blocks: 1, Data: data}); !errors.Is(err, block.ErrDevice) {
			t.Error(err)
		}
		if n := r.dev.Resets(); n != 1+maxResets || !r.said("it is left alone") {
			t.Errorf("enabled %d times; %q", n, r.log)
		}
		start := time.Now()
		if err := r.do(block.Request{Op: block.Flush}); !errors.Is(err, block.ErrDevice) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A device that is taken out fails all requests, with ErrGone, and writes no memory
// afterwards.
func TestSurpriseRemoval(t *testing.T) {
	run(t, func(d *nvmetest.Device) {
		d.Fault = func(c nvmetest.Command) (f nvmetest.Fault) {
			f.Drop = c.Queue != 0
			return f
		}
	}, func(r *rig) {
		done := make(chan error, 1000)
		for i := range 1000 {
			q := &block.Request{Op: block.Read, Start: uint64(i), Blocks: 1, Data: r.data(512, 0)[:1], Done: func(_ *block.Request, err error) { done <- err }}
			r.disk.Submit(i, q)
		}
		r.dev.Vanish()
		for range 1000 {
			if err := <-done; !errors.Is(err, block.ErrGone) {
				t.Fatal(err)
			}
		}
		if !r.dev.Stopped() || !errors.Is(r.Dead(), block.ErrGone) {
			t.Errorf("stopped: %v; %v", r.dev.Stopped(), r.Dead())
		}
	})
}

// A device that cannot be stopped loses the bus before its requests are given up.
func TestStuck(t *testing.T) {
	run(t, func(d *nvmetest.Device) {
		d.Fault = func(c nvmetest.Command) (f nvmetest.Fault) {
			f.Deaf = c.Queue != 0
			return f
		}
	}, func(r *rig) {
		r.dev.Stick()
		stopped := false
		done := make(chan error, 1)
		q := &block.Request{Op: block.Read, Blocks: 1, Data: r.data(512, 0), Done: func(_ *block.Request, err error) {
			stopped = r.dev.Stopped()
			done <- err
		}}
		r.disk.Submit(0, q)
		if err := <-done; !errors.Is(err, block.ErrDevice) || !stopped {
			t.Errorf("%v, stopped %v", err, stopped)
		}
	})
}

// What was flushed, or written through the cache, is on the medium when the power goes.
func TestPowerLoss(t *testing.T) {
	run(t, nil, func(r *rig) {
		write := func(at uint64, what string, fua bool) {
			data := r.data(512, 0)
			copy(data[0].Bytes, what)
			r.ok(block.Request{Op: block.Write, FUA: fua, Start: at, Blocks: 1, Data: data})
		}
		write(1, "flushed", false)
		r.ok(block.Request{Op: block.Flush})
		write(2, "through", true)
		write(3, "cached", false)
		all := func(uint64) bool { return true }
		for at, want := range map[uint64]string{1: "flushed", 2: "through", 3: "\x00\x00\x00"} {
			if got := r.dev.Medium(at, all); !strings.HasPrefix(string(got), want) {
				t.Errorf("block %d: %q", at, got[:8])
			}
		}
	})
}

// Close puts what is cached on the medium.
func TestClose(t *testing.T) {
	var dev *nvmetest.Device
	run(t, func(d *nvmetest.Device) { dev = d }, func(r *rig) {
		data := r.data(512, 0)
		copy(data[0].Bytes, "cached")
		r.ok(block.Request{Op: block.Write, Start: 3, Blocks: 1, Data: data})
	})
	if got := dev.Medium(3, func(uint64) bool { return true }); !bytes.HasPrefix(got, []byte("cached")) {
		t.Errorf("%q", got[:8])
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
				r := &rig{t: t, dev: nvmetest.New()}
				c.change(r.dev)
				d, err := r.start()
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
				if err != nil && name != "gone" && name != "stuck" && name != "small" && !r.dev.Stopped() && r.dev.Read32(regCSTS)&1 != 0 {
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

// A random device, which may do anything at any time, ends no driver, and no request is
// left without an end.
func TestHostile(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := rand.New(rand.NewPCG(seed, 9))
				r := &rig{t: t, dev: nvmetest.New()}
				bad := x.IntN(200) + 2
				r.dev.Fault = func(c nvmetest.Command) (f nvmetest.Fault) {
					if x.IntN(bad) > 0 || c.Queue == 0 && x.IntN(4) > 0 {
						return f
					}
					switch x.IntN(8) {
					case 0:
						f.Drop = true
					case 1:
						f.Deaf = true
					case 2:
						f.Twice = true
					case 3:
						f.WrongID = true
					case 4:
						f.WrongFrom = true
					case 5:
						f.Silent = true
					case 6:
						f.Status = uint16(x.Uint32()) & 0x7fff
					case 7:
						f.Delay = time.Duration(x.IntN(20)) * time.Second
					}
					return f
				}
				d, err := r.start()
				if err != nil {
					return
				}
				var wg sync.WaitGroup
				area := r.data(1<<20, 0)[0]
				for i := range 500 {
					if len(d.Disks()) == 0 {
						break
					}
					q := &block.Request{Op: block.Op(i % 3), Start: uint64(i), Blocks: 1, Data: []dma.Segment{area.Slice(i*512, i*512+512)}}
					if q.Op == block.Flush {
						q.Blocks, q.Data = 0, nil
					}
					wg.Add(1)
					q.Done = func(*block.Request, error) { wg.Done() }
					d.Disks()[0].Submit(i, q)
					if i%50 == 0 {
						time.Sleep(time.Second)
					}
				}
				wg.Wait()
				_ = d.Close()
			})
		})
	}
}
