// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package blocktest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringo/drivers/block"
)

// HostileOne gives a driver a device that does something wrong every now and then.
func HostileOne(t *testing.T, make func() *Target, seed uint64) {
	// The device draws with its lock held, whoever asks for requests beside it.
	x, ask := rand.New(rand.NewPCG(seed, 9)), rand.New(rand.NewPCG(seed, 10))
	synctest.Test(t, func(t *testing.T) {
		r := &Rig{T: t, Target: make()}
		bad := x.IntN(100) + 2
		r.SetFate(func(Command) (f Fault) {
			if x.IntN(bad) > 0 {
				return f
			}
			switch x.IntN(6) {
			case 0:
				f.Drop = true
			case 1:
				f.Silent = true
			case 2:
				f.Fails = true
			case 3:
				f.Media = true
			case 4:
				f.Delay = time.Duration(x.IntN(20)) * time.Second
			case 5:
				if r.Lies > 0 {
					f.Lie = 1 + x.IntN(r.Lies)
				}
			}
			return f
		})
		d, err := r.Start(r.Note)
		if err != nil {
			return
		}
		r.Disk = d
		var wg sync.WaitGroup
		size := d.Info().BlockSize
		area := r.Data(512 * size)[0]
		for i := range 300 {
			q := &block.Request{Op: block.Op(i % 3), Start: uint64(i), Blocks: 1}
			if q.Op == block.Flush {
				q.Blocks = 0
			} else {
				q.Data = append(q.Data, area.Slice(i*size, (i+1)*size))
			}
			wg.Add(1)
			q.Done = func(*block.Request, error) { wg.Done() }
			d.Submit(i, q)
			switch ask.IntN(50) {
			case 0:
				time.Sleep(time.Second)
			case 1:
				r.Die()
			}
		}
		wg.Wait()
		_ = d.Close()
		synctest.Wait()
	})
}
