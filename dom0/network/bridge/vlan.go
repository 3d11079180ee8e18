// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

// Tags of VLANs (IEEE 802.1Q, "Tag format"): types, and the identifiers that there are.
const (
	typeTag     = 0x8100
	typeService = 0x88a8
	typeOld     = 0x9100 // of two tags, before the standard
	vlanMost    = 4094
	vlanMask    = 0xfff
)

// noVLAN is where frames do not belong that no VLAN has.
const noVLAN = 0xffff

// tags are the VLANs of a port.
type tags struct {
	plain uint16 // that of frames without a tag; noVLAN: they do not pass
	all   bool   // all others have a tag
	list  *[(vlanMask + 1) / 64]uint64
}

func makeTags(o *Options) tags {
	t := tags{plain: o.VLAN, all: o.Uplink && o.Trunk == nil}
	if o.Trunk == nil {
		return t
	}
	t.list = new([(vlanMask + 1) / 64]uint64)
	if o.VLAN == 0 {
		t.plain = noVLAN
	}
	for _, v := range o.Trunk {
		if v == 0 && o.VLAN == 0 {
			t.plain = 0
		}
		t.list[v/64] |= 1 << (v % 64)
	}
	t.list[0] &^= 1 // no frame has it as a tag
	return t
}

// tagged reports whether frames of a VLAN have a tag at the port.
func (t *tags) tagged(vlan uint16) bool {
	if vlan == t.plain || vlan == 0 {
		return false
	}
	return t.all || t.list != nil && t.list[vlan/64&63]>>(vlan%64)&1 != 0
}

// has reports whether frames of a VLAN pass the port.
func (t *tags) has(vlan uint16) bool { return vlan == t.plain || t.tagged(vlan) }

// isTag reports whether a type is that of a tag.
func isTag(kind uint16) bool { return kind == typeTag || kind == typeService || kind == typeOld }
