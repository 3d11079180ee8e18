// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"bytes"
	"errors"
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

// rig is a driver on a device in memory, in time that passes when nobody works.
type rig struct {
	t   *testing.T
	dev *nvmetest.Device
	*Controller
	disk *Disk

	area dma.Segment // for the data of model, and what it has written
	want []byte

	mu  sync.Mutex
	log []string
}

func run(t *testing.T, change func(*nvmetest.Device), test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dev: nvmetest.New()}
		if change != nil {
			change(r.dev)
		}
		c, err := r.start()
		if err != nil {
			t.Fatal(err)
		}
		r.Controller = c
		if len(c.Disks()) != 1 {
			t.Fatalf("%d disks", len(c.Disks()))
		}
		r.disk = c.Disks()[0]
		test(r)
		if c.Dead() == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		<-c.ended
		synctest.Wait()
		if w := r.dev.Wrongs(); len(w) > 0 {
			t.Error(w)
		}
	})
}

func (r *rig) start() (*Controller, error) {
	return Start(Config{
		Regs: r.dev, Arena: r.dev, Queues: 4, Bind: r.dev.Bind, Present: r.dev.Present, Stop: r.dev.Stop,
		Log: func(line string) {
			r.mu.Lock()
			r.log = append(r.log, line)
			r.mu.Unlock()
		},
	})
}

// said reports whether a line of the log contains s.
func (r *rig) said(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.log, "\n"), s)
}

// data is memory for n bytes, in pieces of the given sizes and what is left.
func (r *rig) data(n, shift int, pieces ...int) []dma.Segment {
	s, err := r.dev.Alloc(n+shift+4096*len(pieces), 4096)
	if err != nil {
		r.t.Fatal(err)
	}
	at := shift
	var all []dma.Segment
	for _, p := range pieces {
		all = append(all, s.Slice(at, at+p))
		at, n = at+p+4096-(at+p)%4096, n-p
	}
	if n > 0 {
		all = append(all, s.Slice(at, at+n))
	}
	return all
}

// do makes a request and waits for its end.
func (r *rig) do(q block.Request) error {
	done := make(chan error, 1)
	q.Done = func(_ *block.Request, err error) { done <- err }
	r.disk.Submit(int(q.Start), &q)
	return <-done
}

func (r *rig) ok(q block.Request) {
	r.t.Helper()
	if err := r.do(q); err != nil {
		r.t.Fatal(err)
	}
}

func TestInfo(t *testing.T) {
	run(t, nil, func(r *rig) {
		want := block.Info{
			Model: "A disk in memory[1m", Serial: "SERIAL1", Firmware: "1.0", Blocks: 1 << 20, BlockSize: 512, MaxBlocks: 1024, MaxEmpty: 1 << 16,
			Volatile: true, Discard: true, WriteZeroes: true,
		}
		if got := r.disk.Info(); got != want || r.disk.Queues() != 4 || r.disk.ID() != 1 {
			t.Errorf("%+v, %d queues, namespace %d", got, r.disk.Queues(), r.disk.ID())
		}
	})
}

// Random requests, many at a time, on data in pieces of all kinds, agree with a model;
// the device has few slots, few queues, few interrupts, small transfers.
func TestModel(t *testing.T) {
	for name, change := range map[string]func(*nvmetest.Device){
		"usual": nil,
		"small": func(d *nvmetest.Device) { d.Entries, d.Queues, d.MDTS = 2, 1, 1 },
		"one":   func(d *nvmetest.Device) { d.Messages = 1 },
		"none":  func(d *nvmetest.Device) { d.Messages = 0 },
		"deep":  func(d *nvmetest.Device) { d.Entries, d.MDTS = 65536, 0 },
		"slow": func(d *nvmetest.Device) {
			x := rand.New(rand.NewPCG(1, 2))
			d.Fault = func(c nvmetest.Command) nvmetest.Fault {
				return nvmetest.Fault{Delay: time.Duration(x.IntN(3)) * time.Millisecond}
			}
		},
	} {
		t.Run(name, func(t *testing.T) { run(t, change, func(r *rig) { r.model(3, 60) }) })
	}
}

// model makes n rounds of requests.
func (r *rig) model(seed uint64, n int) {
	x := rand.New(rand.NewPCG(seed, 4))
	const blocks = 4096
	info := r.disk.Info()
	if r.want == nil {
		r.want, r.area = make([]byte, blocks*512), r.data(6<<20, 0)[0]
	}
	want, area := r.want, r.area
	for range n {
		// One round: requests at once that do not overlap.
		var wg sync.WaitGroup
		at, mem := uint64(x.IntN(64)), 0
		for at < blocks-1 && mem < len(area.Bytes)-(1<<20) {
			q := &block.Request{Op: block.Op(x.IntN(5)), FUA: x.IntN(4) == 0, Start: at, Blocks: 1 + uint32(x.IntN(int(min(info.MaxBlocks, 200))))}
			q.Blocks = min(q.Blocks, uint32(blocks-at))
			size := int(q.Blocks) * 512
			piece := want[at*512:][:size]
			switch q.Op {
			case block.Read, block.Write:
				q.Data, mem = cut(x, area, mem, size)
			case block.Flush:
				q.Blocks = 0
			default:
				clear(piece)
			}
			if q.Op == block.Write {
				for i := range piece {
					piece[i] = byte(x.Uint32())
				}
				gatherTest(q, piece)
			}
			wg.Add(1)
			q.Done = func(q *block.Request, err error) {
				defer wg.Done()
				if err != nil {
					r.t.Errorf("%+v: %v", q.Op, err)
				}
				if q.Op == block.Read && !bytes.Equal(join(q.Data), piece) {
					r.t.Errorf("%d blocks at %d are not what was written", q.Blocks, q.Start)
				}
			}
			r.disk.Submit(x.IntN(8), q)
			at += uint64(q.Blocks) + uint64(x.IntN(100))
		}
		wg.Wait()
		if r.t.Failed() {
			return
		}
	}
}

// cut makes data of pieces, at places that a list of pages can describe or not.
func cut(x *rand.Rand, area dma.Segment, mem, size int) (all []dma.Segment, end int) {
	odd := x.IntN(3) == 0
	if x.IntN(2) == 0 {
		mem += 4 * x.IntN(1024)
	}
	if odd {
		mem += x.IntN(8)
	}
	for size > 0 {
		n := size
		if x.IntN(3) > 0 {
			n = min(size, 1+x.IntN(20000))
			if !odd {
				n = min(size, (mem+n+4095)&^4095-mem)
			}
		}
		all = append(all, area.Slice(mem, mem+n))
		mem, size = mem+n, size-n
		if x.IntN(2) == 0 {
			mem += 4096
		}
		if odd {
			mem += x.IntN(100)
		}
	}
	return all, mem + 4096&^4095
}

func join(data []dma.Segment) (b []byte) {
	for _, s := range data {
		b = append(b, s.Bytes...)
	}
	return b
}

func gatherTest(q *block.Request, b []byte) {
	for _, s := range q.Data {
		b = b[copy(s.Bytes, b):]
	}
}

// What is no request is refused, and not given to the device.
func TestInvalid(t *testing.T) {
	run(t, nil, func(r *rig) {
		one := r.data(512, 0)
		for _, q := range []block.Request{
			{Op: block.Read, Start: 0, Blocks: 0},
			{Op: block.Read, Start: 1 << 20, Blocks: 1, Data: one},
			{Op: block.Read, Start: ^uint64(0), Blocks: 1, Data: one},
			{Op: block.Read, Start: 1<<20 - 1, Blocks: 2, Data: r.data(1024, 0)},
			{Op: block.Read, Start: 0, Blocks: 2, Data: one},
			{Op: block.Write, Start: 0, Blocks: 1},
			{Op: block.Write, Start: 0, Blocks: 1025, Data: r.data(1025*512, 0)},
			{Op: block.Flush, Blocks: 1},
			{Op: block.Discard, Start: 0, Blocks: 1, Data: one},
			{Op: block.WriteZeroes, Start: 0, Blocks: 1<<16 + 1},
			{Op: 9, Start: 0, Blocks: 1, Data: one},
		} {
			if err := r.do(q); !errors.Is(err, block.ErrInvalid) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

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
			err := r.do(block.Request{Op: block.Read, Start: 7, Blocks: 1, Data: r.data(512, 0)})
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
				data := r.data(4096, 0)
				copy(data[0].Bytes, "precious")
				r.ok(block.Request{Op: block.Write, Start: 8192, Blocks: 8, Data: data})
				time.Sleep(3 * Timeout) // what came twice is seen by then
				back := r.data(4096, 512)
				r.ok(block.Request{Op: block.Read, Start: 8192, Blocks: 8, Data: back})
				if !bytes.Equal(join(back), data[0].Bytes) {
					t.Error("it is not what was written")
				}
				if !r.said(c.says) || r.dev.Resets() != c.resets {
					t.Errorf("%d resets; %q", r.dev.Resets(), r.log)
				}
				r.model(5, 3)
			})
		})
	}
}
