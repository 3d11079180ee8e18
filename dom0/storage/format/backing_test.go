// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// on has a qcow2 image say the format of the one below.
func on(f []byte, kind string) []byte {
	f = bytes.Clone(f)
	binary.BigEndian.PutUint32(f[104:], 0x1234) // of another kind
	binary.BigEndian.PutUint32(f[108:], 3)
	binary.BigEndian.PutUint32(f[120:], q2BackingFormat)
	binary.BigEndian.PutUint32(f[124:], uint32(len(kind)))
	copy(f[128:], kind)
	return f
}

// A disk below that is said to be raw is raw, whatever a guest has written to its start; one
// that is said to be something else is that, or refused.
func TestBackingFormat(t *testing.T) {
	secret := noise(512, 1)
	written := image("-", make([]byte, 512), "secret") // by a guest, to its raw disk
	top := image("-", make([]byte, 512), "below")
	f := folder{"secret": secret, "below": written, "raw": on(top, "raw"), "qcow2": on(top, "qcow2"), "vmdk": on(top, "vmdk"), "unsaid": top}
	for name, want := range map[string][]byte{"raw": written[:512], "qcow2": secret, "unsaid": secret} {
		d, err := f.disk(name)
		if err != nil {
			t.Error(name, err)
			continue
		}
		if got := all(t, d, 512); !bytes.Equal(got, want) {
			t.Errorf("%s: reads %x", name, got[:16])
		}
	}
	if _, err := f.disk("vmdk"); err == nil || !strings.Contains(err.Error(), `says that it has "below" below in the format "vmdk", and that is not its format`) {
		t.Error(err)
	}
	f["cut"] = on(top, "raw")[:130]
	if _, err := f.disk("cut"); err == nil {
		t.Error("a header that is cut off")
	}
}
