// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package format

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// description1 is a disk of three parts.
const description1 = `# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="custom"

# Extent description
RW 2 FLAT "raw" 1
RW 3 ZERO
RDONLY 1 SPARSE "sparse" 0
NOACCESS 5 FLAT "no" 0
`

// sparse is a VMDK extent of 8 sectors, grains of one, of which the second is there.
func sparse() []byte {
	le := binary.LittleEndian
	b := make([]byte, 4*512)
	copy(b, "KDMV")
	le.PutUint32(b[vmVersion:], 1)
	le.PutUint64(b[vmCapacity:], 8)
	le.PutUint64(b[vmGrain:], 1)
	le.PutUint32(b[vmEntries:], 4)
	le.PutUint64(b[vmDirectory:], 1)
	le.PutUint32(b[512:], 2)
	le.PutUint32(b[1024+4:], 3)
	copy(b[3*512:], "the second grain")
	return b
}

// sum sets the checksum of a footer.
func sum(b []byte) []byte {
	n := uint32(0)
	clear(b[vhdChecksum : vhdChecksum+4])
	for _, c := range b[:vhdFooter] {
		n += uint32(c)
	}
	binary.BigEndian.PutUint32(b[vhdChecksum:], ^n)
	return b
}

// dynamic is a VHD of 4 blocks of a sector, of which the third is there.
func dynamic() []byte {
	be := binary.BigEndian
	b := make([]byte, 512*6)
	copy(b, vhdCookie)
	be.PutUint64(b[vhdHeader:], 512)
	be.PutUint64(b[vhdSize:], 2000)
	be.PutUint32(b[vhdType:], vhdDynamic)
	copy(b[512:], vhdSparse)
	be.PutUint64(b[512+vhdTable:], 1536)
	be.PutUint32(b[512+vhdEntries:], 4)
	be.PutUint32(b[512+vhdBlock:], 512)
	for i := range 4 {
		be.PutUint32(b[1536+4*i:], vhdUnused)
	}
	be.PutUint32(b[1536+8:], 4)
	copy(b[5*512:], "the third block")
	return sum(b)
}

// What VMDK and VHD files cannot be is refused, with a line that says why.
func TestVMRefused(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	text := func(old, with string) []byte { return []byte(strings.Replace(description1, old, with, 1)) }
	vm := func(at int, n uint64) []byte { b := sparse(); le.PutUint64(b[at:], n); return b }
	vh := func(at int, n uint32) []byte { b := dynamic(); be.PutUint32(b[at:], n); return sum(b) }
	for want, b := range map[string][]byte{
		"VMDK, and uses what cannot be read here: version 9":                  vm(vmVersion, 9),
		"VMDK, and says that it has grains of 3 sectors":                      vm(vmGrain, 3),
		"VMDK, and says that it has grains of 4096 sectors":                   vm(vmGrain, 4096),
		"VMDK, and says that it has tables of 0 entries":                      vm(vmEntries, 0),
		"VMDK, and says that it has a disk of 0 sectors":                      vm(vmCapacity, 0),
		"VMDK, and says that it has a disk of 18446744073709551614 sectors":   vm(vmCapacity, 1<<64-2),
		"VMDK, and says that it has its directory at sector 9":                vm(vmDirectory, 9),
		"VMDK, and says that it has a second header, which is not there":      vm(vmDirectory, vmAtEnd),
		"VMDK, and says that it has a second header, before it begins":        vm(vmDirectory, vmAtEnd)[:1024],
		"VMDK, and uses what cannot be read here: compression of type 0":      vm(vmFlags, 1<<16|8<<32),
		"VMDK, and says that it has a description of 129 sectors at sector 1": append(vm(vmTextLen, 129)[:vmText], append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, vm(vmTextLen, 129)[vmTextLen:]...)...),
		"VMDK, and uses what cannot be read here: a disk below it":            text("ffffffff", "00000001"),
		"VMDK, and says that it has the part \"RW 2 FLAT raw":                 text(`"raw"`, "raw"),
		"which its file is too short for":                                     text(`"raw" 1`, `"raw" 2`),
		"whose size is not one":                                               text("RW 2", "RW 99999999999999"),
		"whose beginning is not one":                                          text(`"raw" 1`, `"raw" -1`),
		"of a type that cannot be read here":                                  text("FLAT", "VMFSSPARSE"),
		`it is made of "../raw", which is not in its folder`:                  text(`"raw"`, `"../raw"`),
		"VMDK, and says that it has a disk of 0 bytes":                        []byte("# Disk DescriptorFile\n"),
		"VHD, and says that it has a wrong sum":                               append([]byte(vhdCookie), make([]byte, 600)...),
		"VHD, and uses what cannot be read here: another disk below it":       vh(vhdType, 4),
		"VHD, and says that it has blocks of 513 bytes":                       vh(512+vhdBlock, 513),
		"VHD, and says that it has 3 blocks, too few":                         vh(512+vhdEntries, 3),
		"VHD, and says that it has its table at 4294968832":                   vh(512+vhdTable, 1),
		"VHD, and says that it has a disk of":                                 vh(vhdSize, 1<<31),
		"VHD, and says that it has a header, which is not there":              vh(512, 1),
		"is VHDX, and": []byte("vhdxfile........................"),
	} {
		_, err := folder{"boot:x/a": b, "boot:x/raw": make([]byte, 1536), "boot:x/sparse": sparse()}.disk("boot:x/a")
		if want == "is VHDX, and" {
			want = `"boot:x/a" is in the format VHDX: make a raw one`
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Disks of VMware's and Microsoft's formats read as they are made up.
func TestVM(t *testing.T) {
	raw := noise(1536, 4)
	f := folder{"d": []byte(description1), "raw": raw, "sparse": sparse(), "dynamic": dynamic()}
	grain, block := make([]byte, 512), make([]byte, 512)
	copy(grain, "the second grain")
	copy(block, "the third block")
	zeros := make([]byte, 6*512)
	for name, want := range map[string][]byte{
		"sparse":  append(append(bytes.Clone(zeros[:512]), grain...), zeros[:6*512]...),
		"dynamic": append(append(bytes.Clone(zeros[:1024]), block...), zeros[:2000-1536]...),
		"d":       append(bytes.Clone(raw[512:]), zeros[:4*512]...),
	} {
		d, err := f.disk(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, n := range []int{512, 700, len(want)} {
			if got := all(t, d, n); !bytes.Equal(got, want) {
				t.Errorf("%s, pieces of %d: other data", name, n)
			}
		}
	}
}
