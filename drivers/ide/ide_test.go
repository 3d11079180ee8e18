// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ide

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/ata/atatest"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
	"ringo/drivers/ide/idetest"
)

func start(dev *idetest.Channel, master bool, log func(string)) (*Channel, error) {
	cfg := Config{
		Command: dev.Command(), Control: dev.Control(), Arena: dev, Bind: dev.Bind, Present: dev.Present, Stop: dev.Stop, Log: log,
	}
	if master {
		cfg.Master = dev.Master()
	}
	return Start(cfg)
}

// drive0 is the disk for the conformance test.
type drive0 struct {
	*Disk
	c *Channel
}

func (d drive0) Close() error { return d.c.Close() }

func target(master bool, change func(*idetest.Channel)) func() *blocktest.Target {
	return func() *blocktest.Target {
		dev := idetest.New()
		if change != nil {
			change(dev)
		}
		return &blocktest.Target{
			Device: dev, SetFate: dev.SetFate, Polling: dev.NoIRQ, Lies: idetest.Lies, Recovers: true,
			Words: !master || dev.Far != 0 || dev.Drives[0].Identity[99]&1 == 0,
			Start: func(log func(string)) (blocktest.Disk, error) {
				c, err := start(dev, master, log)
				if err != nil {
					return nil, err
				}
				return drive0{c.Disks()[0], c}, nil
			},
		}
	}
}

// The conformance test, also where drive or controller can do less.
func TestConformance(t *testing.T) {
	for name, make := range map[string]func() *blocktest.Target{
		"usual":     target(true, nil),
		"by words":  target(false, nil),
		"far":       target(true, func(c *idetest.Channel) { c.Far = 4 << 30 }),
		"polled":    target(true, func(c *idetest.Channel) { c.NoIRQ = true }),
		"no DMA":    target(true, func(c *idetest.Channel) { c.Drives[0].Word(49, 1<<9) }),
		"short LBA": target(true, func(c *idetest.Channel) { c.Drives[0].Word(83, 1<<14).Word(169, 0) }),
		"no cache":  target(true, func(c *idetest.Channel) { c.Drives[0].Word(85, 0) }),
		"two":       target(true, func(c *idetest.Channel) { c.Drives[1] = atatest.NewCD(100) }),
	} {
		t.Run(name, func(t *testing.T) { blocktest.Run(t, make) })
	}
}

func TestHostile(t *testing.T) { blocktest.Hostile(t, target(true, nil), 20) }

// FuzzHostile looks for a device that ends the driver, by what decides about its faults.
func FuzzHostile(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { blocktest.HostileOne(t, target(seed%2 == 0, nil), seed) })
}

// do makes a request and waits for its end.
func do(d *Disk, q block.Request) error {
	done := make(chan error, 1)
	q.Done = func(_ *block.Request, err error) { done <- err }
	d.Submit(0, &q)
	return <-done
}

// Two drives share a channel; the CD is read only, and its medium may change.
func TestCD(t *testing.T) {
	for _, master := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dev := idetest.New()
			cd := atatest.NewCD(0)
			dev.Drives[1], dev.Piece = cd, 300
			c, err := start(dev, master, func(string) {})
			if err != nil || len(c.Disks()) != 2 {
				t.Fatalf("%v, %d drives", err, len(c.Disks()))
			}
			d := c.Disks()[1]
			data, _ := dev.Alloc(8192, 4096)
			q := block.Request{Op: block.Read, Start: 7, Blocks: 4}
			q.Data = append(q.Data, data)
			if err := do(d, q); !errors.Is(err, block.ErrInvalid) {
				t.Errorf("without a medium: %v", err)
			}
			dev.Do(func() {
				cd.Sense = [][2]byte{{6, 0x28}}
				cd.Medium = blocktest.NewMedium(100, 2048)
				cd.Medium.Write(8, []byte(strings.Repeat("x", 2048)), true)
			})
			time.Sleep(Timeout)
			if i := d.Info(); i.Blocks != 100 || !i.ReadOnly || d.Drive() != 1 {
				t.Errorf("%+v", i)
			}
			if err := do(d, q); err != nil || string(data.Bytes[2047:2050]) != "\x00xx" {
				t.Errorf("%v: %q", err, data.Bytes[2047:2050])
			}
			for _, s := range []struct {
				sense [2]byte
				want  error
			}{{[2]byte{3, 0x11}, block.ErrMedia}, {[2]byte{5, 0x21}, block.ErrInvalid}, {[2]byte{6, 0x29}, nil}} {
				dev.Do(func() { cd.Sense = [][2]byte{s.sense} })
				if err := do(d, q); !errors.Is(err, s.want) {
					t.Errorf("%v: %v", s.sense, err)
				}
			}
			if err := do(c.Disks()[0], block.Request{Op: block.Write, FUA: true, Blocks: 16, Data: q.Data}); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if w := dev.Wrongs(); len(w) > 0 {
				t.Errorf("%q", w)
			}
		})
	}
}

// A bus master that does not stop may write memory still: the drive's answer is none.
func TestStuckAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := idetest.New()
		c, err := start(dev, true, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := dev.Alloc(512, 4096)
		dev.Stick()
		if err := do(c.Disks()[0], block.Request{Op: block.Read, Blocks: 1, Data: []dma.Segment{data}}); !errors.Is(err, block.ErrDevice) || !dev.Stopped() {
			t.Errorf("%v, stopped %v", err, dev.Stopped())
		}
		_ = c.Close()
	})
}

// A drive that is another one after a reset gets no requests of the one before.
func TestAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := idetest.New()
		c, err := start(dev, true, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		dev.SetFate(func(blocktest.Command) blocktest.Fault {
			dev.Drives[0] = atatest.NewDisk("SERIAL1", 1<<19)
			return blocktest.Fault{Drop: true}
		})
		data, _ := dev.Alloc(512, 4096)
		if err := do(c.Disks()[0], block.Request{Op: block.Write, Blocks: 1, Data: []dma.Segment{data}}); !errors.Is(err, block.ErrDevice) || !strings.Contains(err.Error(), "another drive") {
			t.Error(err)
		}
		_ = c.Close()
	})
}

// A drive that a reset does not bring back is lost, with what waits for it; the other one
// of its channel is not.
func TestLost(t *testing.T) {
	for want, lose := range map[string]func(dev *idetest.Channel, n int){
		"has no answer": func(dev *idetest.Channel, n int) { dev.Drives[n] = nil },
		"busy":          func(dev *idetest.Channel, n int) { dev.Drives[n].Unready = true },
		"another drive": func(dev *idetest.Channel, n int) { dev.Drives[n] = atatest.NewDisk("SERIAL9", 1<<20) },
	} {
		for n := range 2 {
			synctest.Test(t, func(t *testing.T) { loseOne(t, want, n, lose) })
		}
	}
}

func loseOne(t *testing.T, want string, n int, lose func(dev *idetest.Channel, n int)) {
	dev := idetest.New()
	dev.Drives[1] = atatest.NewDisk("SERIAL2", 1<<20)
	var said string
	c, err := start(dev, true, func(s string) { said += s })
	if err != nil || len(c.Disks()) != 2 {
		t.Fatal(err)
	}
	dropped := false
	dev.SetFate(func(blocktest.Command) (f blocktest.Fault) {
		if !dropped {
			lose(dev, n)
		}
		f.Drop, dropped = !dropped, true
		return f
	})
	data, _ := dev.Alloc(512, 4096)
	q := block.Request{Op: block.Write, Blocks: 1, Data: []dma.Segment{data}}
	var done [2]chan error
	for i := range done {
		done[i] = make(chan error)
		go func() { done[i] <- do(c.Disks()[i], q) }()
		synctest.Wait()
	}
	for i, d := range c.Disks() {
		lost := i == n
		for _, err := range []error{<-done[i], do(d, q), d.Dead()} {
			if lost && (!errors.Is(err, block.ErrDevice) || !strings.Contains(err.Error(), want)) || !lost && err != nil {
				t.Errorf("drive %d of which %d is lost: %v", i, n, err)
			}
		}
	}
	if !strings.Contains(said, fmt.Sprintf("drive %d is lost", n)) {
		t.Error(said)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	if w := dev.Wrongs(); len(w) > 0 {
		t.Errorf("%q", w)
	}
}

// A drive with addresses of 28 bits has no more blocks than those name.
func TestShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := idetest.New()
		dev.Drives[0].Word(83, 1<<14).Word(61, 0xffff)
		c, err := start(dev, true, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if n := c.Disks()[0].Info().Blocks; n != 1<<28 {
			t.Errorf("%d blocks", n)
		}
		_ = c.Close()
	})
}

// Channels without drives, and drives that say strange things, are left out with a reason.
func TestStrange(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*idetest.Channel)
		want   string
	}{
		"good":    {func(c *idetest.Channel) {}, ""},
		"nothing": {func(c *idetest.Channel) { c.Drives[0] = nil }, "no drives"},
		"gone":    {func(c *idetest.Channel) { c.Vanish() }, "no drives"},
		"busy":    {func(c *idetest.Channel) { c.Drives[0].Unready = true }, "busy"},
		"no LBA":  {func(c *idetest.Channel) { c.Drives[0].Word(49, 0) }, "no LBA"},
		"empty":   {func(c *idetest.Channel) { c.Drives[0].Word(100, 0).Word(101, 0) }, "0 blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := idetest.New()
				c.change(dev)
				var said string
				d, err := start(dev, true, func(s string) { said += s })
				if said = fmt.Sprint(err, said); !strings.Contains(said, c.want) || (err == nil) != (c.want == "") {
					t.Errorf("%s, want %q", said, c.want)
				}
				if err == nil {
					_ = d.Close()
				}
			})
		})
	}
}
