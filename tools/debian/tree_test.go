// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package debian

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The one partition lies where RootPartition says, within the usable part of the disk.
func TestPartition(t *testing.T) {
	if err := Ensure(os.Stderr, "images"); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err) // who is not root cannot install what it takes
	}
	const size = 8 << 20
	name := filepath.Join(t.TempDir(), "disk.img")
	if err := partition(io.Discard, name, size); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil || len(b) != size {
		t.Fatal(len(b), err)
	}
	// UEFI 2.10, "GPT Partition Entry": of the first, in the third sector.
	le := binary.LittleEndian
	entry := b[2*512:]
	start, length := RootPartition(size)
	if first, last := le.Uint64(entry[32:]), le.Uint64(entry[40:]); int64(first)*512 != start || int64(last+1)*512 != start+length {
		t.Errorf("from sector %d to %d", first, last)
	}
	if !bytes.Equal(entry[:4], []byte{0xe3, 0xbc, 0x68, 0x4f}) {
		t.Errorf("type %x", entry[:16])
	}
	if n := le.Uint64(b[512+48:]); start+length > int64(n+1)*512 {
		t.Errorf("the last usable sector is %d", n)
	}
}

func TestCommand(t *testing.T) {
	if err := command(io.Discard, nil, "no-such-program"); err == nil {
		t.Error("no error")
	}
	if err := command(io.Discard, nil, "false"); err == nil {
		t.Error("a failure is no error")
	}
	var out bytes.Buffer
	if err := command(&out, []byte("in"), "cat"); err != nil || out.String() != "in" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
