// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package disk_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/virtio/disk"
	"ringo/drivers/virtio/disk/disktest"
)

// target makes devices for the conformance test.
func target(queues, size int, change func(*disktest.Device)) func() *blocktest.Target {
	return func() *blocktest.Target {
		dev := disktest.New(queues, size)
		if change != nil {
			change(dev)
		}
		return &blocktest.Target{
			Device: dev, SetFate: dev.SetFate, Lies: disktest.Lies, Polling: dev.Messages < 2,
			Start: func(log func(string)) (blocktest.Disk, error) { return disk.Start(dev.Function(log), 4) },
		}
	}
}

// The conformance test, also where the device has few slots, queues, pieces or features.
func TestConformance(t *testing.T) {
	for name, make := range map[string]func() *blocktest.Target{
		"usual":       target(4, 256, nil),
		"small":       target(1, 4, nil),
		"one message": target(2, 256, func(d *disktest.Device) { d.Messages = 1 }),
		"no messages": target(2, 256, func(d *disktest.Device) { d.Messages = 0 }),
		"few":         target(3, 64, func(d *disktest.Device) { d.Messages = 3 }),
		"no features": target(2, 64, func(d *disktest.Device) { d.Features = 1<<32 | 1<<9 }),
		"no events":   target(2, 64, func(d *disktest.Device) { d.Features &^= 1 << 29 }),
		"direct":      target(2, 16, func(d *disktest.Device) { d.Features &^= 1 << 28 }),
		"no cache":    target(2, 64, func(d *disktest.Device) { d.Settings[32] = 0 }),
		"pages": target(2, 64, func(d *disktest.Device) {
			d.Features |= 1 << 1
			binary.LittleEndian.PutUint32(d.Settings[8:], 4096)
		}),
	} {
		t.Run(name, func(t *testing.T) { blocktest.Run(t, make) })
	}
}

func TestHostile(t *testing.T) { blocktest.Hostile(t, target(3, 64, nil), 20) }

// FuzzHostile looks for a device that ends the driver, by what decides about its faults.
func FuzzHostile(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { blocktest.HostileOne(t, target(2, 16, nil), seed) })
}

func TestInfo(t *testing.T) {
	blocktest.With(t, target(4, 256, nil), func(r *blocktest.Rig) {
		want := block.Info{
			Model: "virtio block device", Serial: "SERIAL1[1m", Blocks: 1 << 20, BlockSize: 512, MaxBlocks: 256, MaxEmpty: 1 << 16,
			Volatile: true, Discard: true, WriteZeroes: true,
		}
		if got := r.Disk.Info(); got != want || r.Disk.Queues() != 4 {
			t.Errorf("%+v, %d queues", got, r.Disk.Queues())
		}
	})
}

// A serial number that comes too late is not another request's answer.
func TestLateSerial(t *testing.T) {
	make := target(1, 64, func(d *disktest.Device) { d.Late = 1500 * time.Millisecond })
	blocktest.With(t, make, func(r *blocktest.Rig) {
		asked := 0
		r.Fate(func(blocktest.Command) blocktest.Fault {
			asked++
			return blocktest.Fault{Delay: 2 * time.Second}
		})
		r.OK(block.Request{Op: block.Write, Start: 7, Blocks: 1, Data: r.Block("here")})
		if asked != 1 || r.Disk.Info().Serial != "" {
			t.Errorf("asked %d times; %s", asked, r.Log())
		}
	})
}

// A disk that grows is seen to grow.
func TestResize(t *testing.T) {
	blocktest.With(t, target(1, 64, nil), func(r *blocktest.Rig) {
		dev := r.Device.(*disktest.Device)
		dev.Change(func(b []byte) { binary.LittleEndian.PutUint64(b, 1<<21) })
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := r.Disk.Info().Blocks; n != 1<<21 || !r.Said("2097152 blocks now") {
			t.Errorf("%d blocks; %s", n, r.Log())
		}
		dev.Change(func(b []byte) { binary.LittleEndian.PutUint64(b, 1<<60) })
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := r.Disk.Info().Blocks; n != 1<<21 || !r.Said("not taken") {
			t.Errorf("%d blocks; %s", n, r.Log())
		}
	})
}

// Devices that say strange things about themselves are refused, or work.
func TestStrange(t *testing.T) {
	put32 := func(off int, v uint32) func(*disktest.Device) {
		return func(d *disktest.Device) {
			d.Features |= 1<<1 | 1<<5
			binary.LittleEndian.PutUint32(d.Settings[8:], 1<<20)
			binary.LittleEndian.PutUint32(d.Settings[off:], v)
		}
	}
	for name, c := range map[string]struct {
		change func(*disktest.Device)
		want   string
	}{
		"block of 0":      {put32(20, 0), "blocks of 0 bytes"},
		"block of 513":    {put32(20, 513), "blocks of 513 bytes"},
		"block of 64K":    {put32(20, 1<<16), "blocks of 65536 bytes"},
		"block of 4K":     {put32(20, 4096), ""},
		"endless":         {put32(4, 1<<31), "sectors"},
		"no pieces":       {put32(12, 0), ""},
		"pieces":          {put32(12, ^uint32(0)), ""},
		"1 byte":          {put32(8, 1), "takes 1 bytes"},
		"no queues":       {put32(32, 0), ""},
		"many queues":     {put32(32, 0xffff_0000), ""},
		"no discards":     {put32(36, 0), ""},
		"mute":            {func(d *disktest.Device) { d.Mute = true }, ""},
		"2 entries":       {func(d *disktest.Device) { d.Sizes[0] = 2 }, "2 entries"},
		"short settings":  {func(d *disktest.Device) { d.Settings = d.Settings[:30] }, "no settings"},
		"without queues":  {func(d *disktest.Device) { d.Sizes = nil }, "no queue 0"},
		"without version": {func(d *disktest.Device) { d.Features &^= 1 << 32 }, "legacy"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := disktest.New(1, 64)
				c.change(dev)
				d, err := disk.Start(dev.Function(func(string) {}), 4)
				if err == nil {
					if i := d.Info(); i.BlockSize < 512 || i.BlockSize > 4096 || i.MaxBlocks == 0 || i.Blocks == 0 || i.MaxEmpty == 0 {
						t.Errorf("%+v", i)
					}
					_ = d.Close()
				}
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}
