// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerify writes and reads a file, and notices a byte of it that somebody else has
// written.
func TestVerify(t *testing.T) {
	const sectors = 2048
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(sectors * sectorSize); err != nil {
		t.Fatal(err)
	}
	j, err := newJob(int(f.Fd()), 0, sectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.run(1000); err != nil {
		t.Fatal(err)
	}
	at := 1000
	for j.written[at] == 0 {
		at++
	}
	if _, err := f.WriteAt([]byte{0xee}, int64(at)*sectorSize+5); err != nil {
		t.Fatal(err)
	}
	if err := j.run(0); err == nil || !strings.Contains(err.Error(), "not what request") {
		t.Errorf("a sector that was changed: %v", err)
	}
}
