// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringo/drivers/nic"
)

// sink is a card that notes the bytes of the last frame.
type sink struct {
	nic.Device
	last []byte
}

func (s *sink) Info() nic.Info { return nic.Info{MTU: 1500} }

func (s *sink) Send(frames []nic.Frame) int {
	s.last = s.last[:0]
	for _, p := range frames[len(frames)-1].Pieces {
		s.last = append(s.last, p...)
	}
	return len(frames)
}

// A frame is all of its packet, without the room for headers that nobody used, and to
// make it takes no memory.
func TestFramePieces(t *testing.T) {
	s := new(sink)
	l := newLink(s)
	data := buffer.MakeWithData(bytes.Repeat([]byte("payload "), 400))
	_ = data.Append(buffer.NewViewWithData(bytes.Repeat([]byte("more"), 700)))
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 64, Payload: data})
	defer pkt.DecRef()
	copy(pkt.TransportHeader().Push(8), "transport")
	copy(pkt.LinkHeader().Push(14), "link to somebody")
	var list stack.PacketBufferList
	list.PushBack(pkt)
	n := testing.AllocsPerRun(100, func() {
		if n, err := l.WritePackets(list); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	if want := pkt.ToView().AsSlice(); !bytes.Equal(s.last, want) || len(want) != 14+8+3200+2800 {
		t.Errorf("sent %d bytes, of a packet of %d", len(s.last), len(want))
	}
	if n > 1 {
		t.Errorf("%v allocations", n)
	}
}
