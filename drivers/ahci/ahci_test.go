// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/ahci/ahcitest"
	"ringo/drivers/ata/atatest"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
)

// rig is a driver on a controller in memory.
type rig struct {
	c   *Controller
	dev *ahcitest.Device

	mu    sync.Mutex
	disks []*Disk
	log   []string
}

func start(dev *ahcitest.Device, log func(string)) (*rig, error) {
	r := &rig{dev: dev}
	Disable(dev)
	c, err := Start(Config{
		Regs: dev, Arena: dev, Bind: dev.Bind, Present: dev.Present, Stop: dev.Stop,
		Log: func(s string) {
			r.mu.Lock()
			r.log = append(r.log, s)
			r.mu.Unlock()
			log(s)
		},
		Attach: func(d *Disk) {
			r.mu.Lock()
			r.disks = append(r.disks, d)
			r.mu.Unlock()
		},
	})
	r.c = c
	return r, err
}

func (r *rig) said(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.log, "\n"), s)
}

// disk is number i of those that were attached.
func (r *rig) disk(i int) *Disk {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= len(r.disks) {
		return nil
	}
	return r.disks[i]
}

// onPort0 is the disk for the conformance test.
type onPort0 struct {
	*Disk
	c *Controller
}

func (d onPort0) Close() error { return d.c.Close() }

func target(change func(*ahcitest.Device)) func() *blocktest.Target {
	return func() *blocktest.Target {
		dev := ahcitest.New()
		if change != nil {
			change(dev)
		}
		asks := 1
		if v := dev.Drives[0]; v != nil && v.NoLog {
			asks = 2
		}
		return &blocktest.Target{
			Device: dev, Asks: asks, SetFate: dev.SetFate, Polling: dev.Messages == 0, Lies: ahcitest.Lies, Recovers: true,
			Start: func(log func(string)) (blocktest.Disk, error) {
				r, err := start(dev, log)
				if err != nil {
					return nil, err
				}
				if len(r.disks) == 0 {
					return nil, errors.New("no disk")
				}
				return onPort0{r.disks[0], r.c}, nil
			},
		}
	}
}

// The conformance test, also where the disk or the controller can do less.
func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*ahcitest.Device){
		"usual":      nil,
		"polled":     func(d *ahcitest.Device) { d.Messages = 0 },
		"no NCQ":     func(d *ahcitest.Device) { d.CAP &^= 1 << 30 },
		"few":        func(d *ahcitest.Device) { d.Drives[0].Word(75, 3) },
		"short LBA":  func(d *ahcitest.Device) { d.Drives[0].Word(83, 1<<14).Word(169, 0) },
		"no log":     func(d *ahcitest.Device) { d.Drives[0].NoLog = true },
		"like QEMU":  func(d *ahcitest.Device) { d.ClearsFailed, d.Drives[0].NoLog = true, true },
		"through":    func(d *ahcitest.Device) { d.Drives[0].Word(84, 1<<14|1<<6) },
		"no cache":   func(d *ahcitest.Device) { d.Drives[0].Word(85, 0) },
		"with a CD":  func(d *ahcitest.Device) { d.Drives[1] = atatest.NewCD(100) },
		"QEMU plain": func(d *ahcitest.Device) { d.ClearsFailed, d.CAP = true, d.CAP&^(1<<30) },
	} {
		t.Run(name, func(t *testing.T) { blocktest.Run(t, target(change)) })
	}
}

func TestHostile(t *testing.T) { blocktest.Hostile(t, target(nil), 20) }

// FuzzHostile looks for a device that ends the driver, by what decides about its faults.
func FuzzHostile(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { blocktest.HostileOne(t, target(nil), seed) })
}

func TestInfo(t *testing.T) {
	blocktest.With(t, target(nil), func(r *blocktest.Rig) {
		want := block.Info{
			Model: "A disk[1m in memory", Serial: "SERIAL1", Firmware: "1.0", Blocks: 1 << 20, BlockSize: 512, MaxBlocks: 256, MaxEmpty: 1 << 16,
			Volatile: true, Discard: true,
		}
		if got := r.Disk.Info(); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// run lets a test play with a controller.
func run(t *testing.T, change func(*ahcitest.Device), test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		dev := ahcitest.New()
		change(dev)
		r, err := start(dev, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		test(r)
		if err := r.c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if w := dev.Wrongs(); len(w) > 0 {
			t.Errorf("%q", w)
		}
	})
}

// do makes a request and waits for its end.
func do(d *Disk, q block.Request) error {
	done := make(chan error, 1)
	q.Done = func(_ *block.Request, err error) { done <- err }
	d.Submit(0, &q)
	return <-done
}

// What is taken out fails its requests, those under way as well; what is plugged in is
// there. A disk that comes back is the same, another one is not.
func TestHotPlug(t *testing.T) {
	run(t, func(d *ahcitest.Device) {
		d.Fate = func(blocktest.Command) blocktest.Fault { return blocktest.Fault{Delay: time.Second} }
	}, func(r *rig) {
		data, _ := r.dev.Alloc(512, 512)
		q := block.Request{Op: block.Write, Blocks: 1}
		q.Data = append(q.Data, data)
		done := make(chan error)
		go func() { done <- do(r.disk(0), q) }()
		time.Sleep(time.Millisecond)
		r.dev.Unplug(0)
		if err := <-done; !errors.Is(err, block.ErrGone) {
			t.Error(err)
		}
		if r.dev.Stopped() {
			t.Error("the whole controller was stopped")
		}
		old := r.dev.Drives[0]
		r.dev.Plug(0, atatest.NewDisk("SERIAL2", 100))
		time.Sleep(time.Second)
		if d := r.disk(1); d == nil || d.Info().Serial != "SERIAL2" || do(d, q) != nil {
			t.Fatalf("%+v; %q", d, r.log)
		}
		r.dev.Plug(0, r.dev.Drives[0]) // out and in, too fast to be seen
		time.Sleep(time.Second)
		if err := do(r.disk(1), q); err != nil || r.disk(2) != nil {
			t.Errorf("%v; %q", err, r.log)
		}
		r.dev.Plug(0, old)
		time.Sleep(time.Second)
		if err := do(r.disk(1), q); err == nil || r.disk(2) == nil || do(r.disk(2), q) != nil || r.disk(2).Info().Serial != "SERIAL1" {
			t.Errorf("%v; %q", err, r.log)
		}
	})
}

// An ATAPI drive is a read-only disk of its medium, which may change.
func TestCD(t *testing.T) {
	cd := atatest.NewCD(0)
	run(t, func(d *ahcitest.Device) { d.Drives[2], d.Drives[0] = cd, nil }, func(r *rig) {
		d := r.disk(0)
		if d == nil || d.Port() != 2 {
			t.Fatalf("no drive; %q", r.log)
		}
		data, _ := r.dev.Alloc(8192, 4096)
		q := block.Request{Op: block.Read, Start: 7, Blocks: 4}
		q.Data = append(q.Data, data)
		if err := do(d, q); !errors.Is(err, block.ErrInvalid) || d.Info().Blocks != 0 {
			t.Errorf("without a medium: %v, %d blocks", err, d.Info().Blocks)
		}
		r.dev.Do(func() {
			cd.Sense = [][2]byte{{6, 0x28}}
			cd.Medium = blocktest.NewMedium(100, 2048)
			cd.Medium.Write(8, []byte(strings.Repeat("x", 2048)), true)
		})
		time.Sleep(Timeout)
		if i := d.Info(); i.Blocks != 100 || !i.ReadOnly || i.BlockSize != 2048 {
			t.Errorf("%+v", i)
		}
		if err := do(d, q); err != nil || string(data.Bytes[2047:2050]) != "\x00xx" {
			t.Errorf("%v: %q", err, data.Bytes[2047:2050])
		}
		for _, c := range []struct {
			sense [2]byte
			want  error
		}{{[2]byte{3, 0x11}, block.ErrMedia}, {[2]byte{5, 0x21}, block.ErrInvalid}, {[2]byte{4, 0}, nil}, {[2]byte{6, 0x29}, nil}} {
			r.dev.Do(func() { cd.Sense = [][2]byte{c.sense} })
			if err := do(d, q); !errors.Is(err, c.want) {
				t.Errorf("%v: %v", c.sense, err)
			}
		}
		w := q
		w.Op = block.Write
		if err := do(d, w); !errors.Is(err, block.ErrReadOnly) {
			t.Error(err)
		}
		r.dev.Do(func() { cd.Medium = blocktest.NewMedium(0, 2048) })
		if err := do(d, q); !errors.Is(err, block.ErrMedia) || d.Info().Blocks != 0 {
			t.Errorf("taken out: %v, %d blocks", err, d.Info().Blocks)
		}
	})
}

// A controller that somebody else resets has forgotten its commands: they are given
// again, and none is taken for done. What is plugged in later is seen.
func TestReset(t *testing.T) {
	for _, sees := range []func(*Disk){
		func(d *Disk) { d.q.Service() }, // an interrupt that was on its way
		func(d *Disk) { // an error
			if why := d.recover(); why != wasReset {
				t.Error(why)
			}
		},
	} {
		resetBehind(t, sees)
	}
	run(t, func(*ahcitest.Device) {}, func(r *rig) {
		r.dev.Reset()
		time.Sleep(Timeout)
		r.dev.Plug(3, atatest.NewDisk("SERIAL2", 100))
		time.Sleep(time.Second)
		if r.disk(1) == nil {
			t.Errorf("what is plugged in is not seen; %q", r.log)
		}
	})
	// Nor are ports left out whose disk was taken out before; with another disk, whose
	// keeper sees the reset, and without.
	for _, other := range []*atatest.Drive{nil, atatest.NewDisk("SERIAL3", 100)} {
		run(t, func(d *ahcitest.Device) { d.Drives[1] = other }, func(r *rig) {
			n := len(r.disks)
			r.dev.Unplug(0)
			time.Sleep(Timeout)
			r.dev.Reset()
			time.Sleep(Timeout)
			r.dev.Plug(0, atatest.NewDisk("SERIAL2", 100))
			time.Sleep(time.Second)
			if d := r.disk(n); d == nil || d.Info().Serial != "SERIAL2" || d.Dead() != nil {
				t.Errorf("what is plugged in at a port whose disk is gone is not seen; %q", r.log)
			}
		})
	}
}

// resetBehind resets a controller behind its driver's back, which sees it in one way or the
// other.
func resetBehind(t *testing.T, sees func(*Disk)) {
	blocktest.With(t, target(nil), func(r *blocktest.Rig) {
		dev := r.Device.(*ahcitest.Device)
		slow := true
		r.Fate(func(blocktest.Command) (f blocktest.Fault) {
			if slow {
				f.Delay = 10 * time.Second
			}
			return f
		})
		done := make(chan error, 4)
		for i := range cap(done) {
			q := &block.Request{Op: block.Write, Start: uint64(i), Blocks: 1, FUA: true, Data: r.Block(fmt.Sprintf("block %d", i))}
			q.Done = func(_ *block.Request, err error) { done <- err }
			r.Disk.Submit(0, q)
		}
		time.Sleep(time.Second)
		dev.Do(func() { slow = false })
		dev.Reset()
		sees(r.Disk.(onPort0).Disk)
		r.OK(block.Request{Op: block.Flush})
		for i := range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := string(dev.Kept(uint64(i))[:7]); got != fmt.Sprintf("block %d", i) {
				t.Errorf("block %d is %q", i, got)
			}
		}
		if dev.Resets() != 2 || !r.Said("not by its driver") {
			t.Errorf("%d resets; %s", dev.Resets(), r.Log())
		}
		r.Model(1, 2)
	})
}

// Errors without a cause do not stop the disk, unless there is no end to them.
func TestStray(t *testing.T) {
	blocktest.With(t, target(nil), func(r *blocktest.Rig) {
		dev := r.Device.(*ahcitest.Device)
		for range 3 {
			dev.Stray()
			time.Sleep(time.Millisecond)
			r.Model(1, 1)
		}
		if dev.Resets() != 1 {
			t.Errorf("%d resets; %s", dev.Resets(), r.Log())
		}
		for range maxStray + 1 {
			dev.Stray()
			time.Sleep(time.Second)
		}
		if dev.Resets() != 2 || !r.Said("without a cause") {
			t.Errorf("%d resets; %s", dev.Resets(), r.Log())
		}
	})
}

// Devices that say strange things about themselves are left out, with a reason.
func TestStrange(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ahcitest.Device)
		want   string
	}{
		"good":        {func(d *ahcitest.Device) {}, ""},
		"nothing":     {func(d *ahcitest.Device) { d.Drives[0] = nil }, ""},
		"busy":        {func(d *ahcitest.Device) { d.Drives[0].Unready = true }, "busy"},
		"no blocks":   {func(d *ahcitest.Device) { d.Drives[0].Word(100, 0).Word(101, 0) }, "0 blocks"},
		"many":        {func(d *ahcitest.Device) { d.Drives[0].Word(103, 0xffff) }, "blocks of 512"},
		"large block": {func(d *ahcitest.Device) { d.Drives[0].Word(106, 1<<14|1<<12).Word(118, 9) }, "blocks of 589824 words"},
		"odd block":   {func(d *ahcitest.Device) { d.Drives[0].Word(106, 1<<14|1<<12).Word(117, 300) }, "blocks of 600 bytes"},
		"no LBA":      {func(d *ahcitest.Device) { d.Drives[0].Word(49, 0) }, "no LBA"},
		"4K":          {func(d *ahcitest.Device) { d.Drives[0].Word(106, 1<<14|1<<12).Word(117, 2048) }, ""},
		"stuck":       {func(d *ahcitest.Device) { d.Stick() }, "cannot be reset"},
		"gone":        {func(d *ahcitest.Device) { d.Vanish() }, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := ahcitest.New()
				c.change(dev)
				r, err := start(dev, func(string) {})
				said := fmt.Sprint(err, r.log)
				if !strings.Contains(said, c.want) || c.want == "" && (err != nil || len(r.log) > 0) {
					t.Errorf("%s, want %q", said, c.want)
				}
				if err == nil {
					_ = r.c.Close()
				}
			})
		})
	}
}
