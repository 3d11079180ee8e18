// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/exercise"
	"ringo/tools/emu"
)

// TestKill kills the emulator at random moments while dom0 writes a disk and has it
// flush. QEMU keeps in its own memory where the new clusters of a qcow2 image are, until
// somebody flushes: so what was not flushed is lost, and what was must be there. A second
// disk, which nobody flushes, shows that it is so.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 1
	if *long {
		kills = 70
	}
	for _, k := range []struct {
		bus   emu.Bus
		disks [2]string
	}{
		{emu.NVMe, [2]string{"nvme0n1", "nvme1n1"}},
		{emu.AHCI, [2]string{"ahci0p0", "ahci0p1"}},
		{emu.Virtio, [2]string{"vd0", "vd1"}},
	} {
		for range kills {
			if !t.Run(k.disks[0], func(t *testing.T) { kill(t, k.bus, k.disks) }) {
				return
			}
		}
	}
}

func kill(t *testing.T, bus emu.Bus, disks [2]string) {
	const size = 64 << 20
	seed := rand.Uint64()
	t.Logf("number %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var files []string
	for _, d := range disks {
		files = append(files, filepath.Join(t.TempDir(), d+".qcow2"))
		if err := os.WriteFile(files[len(files)-1], emptyQCOW2(size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := boot(t, emu.Config{MemMiB: 512, Modules: modules()[:1], Disks: files, DiskBus: bus})
	moved, err := strconv.ParseUint(regexp.MustCompile(`(\d+) bytes, 0 failed`).FindStringSubmatch(h.ok("disk-test "+disks[1]+" 1 1") + " 0 bytes, 0 failed")[1], 10, 64)
	if err != nil || moved == 0 {
		t.Fatal("the second disk was not written")
	}
	h.key(fmt.Sprintf("disk-test -f %s %d 400\r", disks[0], seed))
	h.see(verbTime, "disk-test")
	for range rng.IntN(12) {
		h.see(verbTime, "bytes, flushed\n")
	}
	time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	h.Kill()
	h.Drain()
	flushed := uint64(0)
	if all := regexp.MustCompile(`(?m)^(\d+) bytes, flushed$`).FindAllStringSubmatch(h.Transcript(), -1); all != nil {
		if flushed, err = strconv.ParseUint(all[len(all)-1][1], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	// It may have gone on for a while before the last line was shown.
	if _, wrong := lost(t, files[0], seed, flushed, flushed+64<<20); wrong > 0 {
		t.Errorf("%d bytes were flushed: %d blocks are none of what may be there", flushed, wrong)
	}
	if n, wrong := lost(t, files[1], 1, 0, moved); n == 0 || wrong > 0 {
		t.Errorf("%d blocks of what was not flushed are lost, %d are wrong: is this disk's cache volatile?", n, wrong)
	}
}

// lost compares an image with an exercise that has flushed the first bytes of its plan,
// and has moved so many at most. It returns how many blocks are older than the latter,
// and how many are older than what was flushed, or nothing that was ever there.
func lost(t *testing.T, file string, seed, flushed, moved uint64) (older, wrong int) {
	t.Helper()
	disk, err := readQCOW2(file)
	if err != nil {
		t.Fatal(err)
	}
	const size = 512
	info := block.Info{BlockSize: size, Blocks: uint64(len(disk) / size), MaxBlocks: 1 << 20}
	counts := func(moved uint64) []uint16 {
		p := exercise.NewPlan(seed, info)
		writes := make([]uint16, p.Blocks())
		p.Skip(moved, size, writes)
		return writes
	}
	least, most := counts(flushed), counts(moved)
	want := make([]byte, size)
	for b := range most {
		n := most[b]
		for ; ; n-- {
			clear(want)
			if n > 0 {
				exercise.Fill(want, seed, uint64(b), n)
			}
			if bytes.Equal(want, disk[b*size:][:size]) || n == least[b] {
				break
			}
		}
		switch {
		case !bytes.Equal(want, disk[b*size:][:size]):
			wrong++
		case n < most[b]:
			older++
		}
	}
	return older, wrong
}

// QEMU's qcow2, version 2 (docs/interop/qcow2.txt).
const (
	qcowCluster = 64 << 10
	qcowOffset  = 1<<56 - 1<<9 // of an entry of a table: where the cluster is
	qcowCopied  = 1 << 63      // of such an entry: nobody else has the cluster
)

// emptyQCOW2 is an image of up to 512 MiB that has nothing yet: a header, a table of
// reference counts with one block, and the first table of clusters.
func emptyQCOW2(size uint64) []byte {
	b := make([]byte, 4*qcowCluster)
	be := binary.BigEndian
	be.PutUint32(b, 0x514649fb) // QFI\xfb
	be.PutUint32(b[4:], 2)
	be.PutUint32(b[20:], 16) // bits of a cluster
	be.PutUint64(b[24:], size)
	be.PutUint32(b[36:], 1) // entries of the first table
	be.PutUint64(b[40:], 3*qcowCluster)
	be.PutUint64(b[48:], qcowCluster) // the table of reference counts
	be.PutUint32(b[56:], 1)           // in clusters
	be.PutUint64(b[qcowCluster:], 2*qcowCluster)
	for i := range 4 {
		be.PutUint16(b[2*qcowCluster+2*i:], 1)
	}
	return b
}

// readQCOW2 is what the disk of such an image has.
func readQCOW2(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	at := func(entry uint64) ([]byte, error) {
		off := entry & qcowOffset
		if off%qcowCluster != 0 || off > uint64(len(b)) {
			return nil, fmt.Errorf("%s: a cluster at %#x of %#x", name, off, len(b))
		}
		c := make([]byte, qcowCluster)
		copy(c, b[off:])
		return c, nil
	}
	disk := make([]byte, be.Uint64(b[24:]))
	first := be.Uint64(b[be.Uint64(b[40:]):])
	if first&qcowOffset == 0 {
		return disk, nil
	}
	table, err := at(first)
	if err != nil {
		return nil, err
	}
	for i := range len(disk) / qcowCluster {
		e := be.Uint64(table[8*i:])
		if e == 0 {
			continue
		}
		if e&^qcowOffset != qcowCopied {
			return nil, errors.New("a cluster that is shared or compressed")
		}
		c, err := at(e)
		if err != nil {
			return nil, err
		}
		copy(disk[i*qcowCluster:], c)
	}
	return disk, nil
}
