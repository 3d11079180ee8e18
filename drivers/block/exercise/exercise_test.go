// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package exercise

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// slow is a disk that keeps nothing, and takes its time.
type slow struct {
	under atomic.Int32 // requests under way
	flush error
}

func (d *slow) Queues() int { return 1 }

func (d *slow) Info() block.Info {
	return block.Info{Blocks: 64, BlockSize: 512, MaxBlocks: 8, Volatile: true}
}

func (d *slow) Submit(_ int, r *block.Request) {
	n := d.under.Add(1)
	time.AfterFunc(time.Duration(n)*time.Millisecond, func() {
		d.under.Add(-1)
		if r.Op == block.Flush {
			r.Done(r, d.flush)
			return
		}
		r.Done(r, nil)
	})
}

// An exercise that ends early, since what is read is wrong or a flush has failed, leaves
// nothing under way that uses its data.
func TestEndsEarly(t *testing.T) {
	data := dma.Segment{Addr: 1 << 20, Bytes: make([]byte, Depth*Most)}
	for want, flush := range map[string]error{"not what was written": nil, "no flush": errors.New("no flush")} {
		synctest.Test(t, func(t *testing.T) {
			d := &slow{flush: flush}
			if _, err := Run(d, data, Job{Seed: 1, Size: 1 << 20, Flush: flush != nil}); err == nil || flush == nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
			if n := d.under.Load(); n != 0 {
				t.Errorf("%d requests are under way", n)
			}
		})
	}
}
