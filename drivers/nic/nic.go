// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nic is what all network cards have in common: frames in batches, both ways.
package nic

import "errors"

// Lengths in bytes of Ethernet frames (IEEE 802.3), without the checksum (FCS) at the
// end, which cards add and take away.
const (
	HeaderLen = 14
	VLANLen   = 4
	MinFrame  = 60 // shorter ones are filled up with zeros by who sends them
	MTU       = 1500
	// MaxFrame is the longest that is sent whole, or received, of cards without larger
	// ones.
	MaxFrame = HeaderLen + VLANLen + MTU
)

// Errors of a card as a whole. What a driver returns wraps one of them.
var (
	ErrGone   = errors.New("the device is gone")
	ErrDevice = errors.New("the device has failed")
)

// MAC is an Ethernet address.
type MAC [6]byte

// Multicast reports whether m is that of a group; Zero is no address.
func (m MAC) Multicast() bool { return m[0]&1 != 0 }

// Valid reports whether m may be the address of one card.
func (m MAC) Valid() bool { return m != MAC{} && !m.Multicast() }

// String is m in the usual form.
func (m MAC) String() string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, v := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hex[v>>4], hex[v&15])
	}
	return string(b)
}

// Frame is an Ethernet frame, from the destination's address on, in pieces.
type Frame struct {
	Pieces [][]byte
	// Sum asks the card to put the Internet checksum of all from SumStart to the end of
	// the frame at SumStart+SumOffset, where the pseudo header's sum is. Of frames to
	// send, and only with Info.Checksum.
	Sum                 bool
	SumStart, SumOffset uint16
	// Segment, if not 0, asks the card to cut the frame, TCP over IPv4 or with V6 over
	// IPv6, into frames of that many bytes of payload, each with a copy of the first
	// Headers bytes as they have to be. Of frames to send, with Sum, and only with
	// Info.Segment.
	Segment, Headers uint16
	V6               bool
	// Verified says of a received frame that the checksum of TCP or UDP was looked at
	// and is right. That of IPv4's header may not have been.
	Verified bool
}

// Len is the number of bytes of all pieces.
func (f *Frame) Len() (n int) {
	for _, p := range f.Pieces {
		n += len(p)
	}
	return n
}

// CopyTo copies the frame to the beginning of b, which is long enough, and returns its
// length.
func (f *Frame) CopyTo(b []byte) (n int) {
	for _, p := range f.Pieces {
		n += copy(b[n:], p)
	}
	return n
}

// Info describes a card.
type Info struct {
	Model string
	MAC   MAC
	MTU   int // bytes of payload of a frame, at most
	// What the card computes of frames that are sent: checksums, and segments of frames
	// that have at most MaxSegmented bytes.
	Checksum, Segment bool
	MaxSegmented      int
	// Verifies says that frames may come Verified.
	Verifies bool
}

// Link is the state of the cable.
type Link struct {
	Up   bool
	Mbps int // 0: not known
	Full bool
}

// Counters count since the driver has started. Of what is lost there are those that the
// driver can know of.
type Counters struct {
	RxFrames, RxBytes, RxErrors, RxDropped uint64
	TxFrames, TxBytes, TxErrors, TxDropped uint64
	LinkChanges, Interrupts, Resets        uint64
}

// Handler is told what happens. Its functions are called from one goroutine of the
// driver, and may call the device, but for Close.
type Handler struct {
	// Receive gets frames, whose bytes are the driver's again when it returns.
	Receive func(frames []Frame)
	// Room is called when there is room again after Send took less than it was given.
	Room func()
	// Changed is called when Link or Dead say something else than before.
	Changed func()
}

// Device is a network card. Its methods are safe for concurrent use.
type Device interface {
	Info() Info
	Link() Link
	Counters() Counters
	// Start lets frames come. It is called once.
	Start(h Handler)
	// Send takes frames to send, in their order, and returns how many. What it took is
	// copied: the bytes are the caller's. It never blocks. A device that is dead, and one
	// without a link, takes all and loses them.
	Send(frames []Frame) int
	// Promiscuous has frames for all addresses come, also after a reset, or again only those
	// for the card's own and for groups. A card that cannot tell them apart hands on all in
	// any case.
	Promiscuous(on bool)
	// Dead returns why the device does nothing any more, nil if it does.
	Dead() error
	// Close ends the device: when it returns no memory is read or written by it, and no
	// function of the handler runs.
	Close()
}
