// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
)

// A DHCP client talks while it has no address, which the stack does not do. So its
// messages pass beside the stack, as frames.

const (
	dhcpClient = 68
	dhcpServer = 67
)

// isDHCP reports whether a frame is UDP over IPv4 to the DHCP client's port.
func isDHCP(b []byte) bool {
	_, ok := dhcpPayload(b)
	return ok
}

// dhcpPayload is the message in a frame for the DHCP client.
func dhcpPayload(b []byte) ([]byte, bool) { return udpPayload(b, dhcpClient) }

// udpPayload is what is in a frame of UDP over IPv4 for a port.
func udpPayload(b []byte, port uint16) ([]byte, bool) {
	if len(b) < header.EthernetMinimumSize || header.Ethernet(b).Type() != header.IPv4ProtocolNumber {
		return nil, false
	}
	ip := header.IPv4(b[header.EthernetMinimumSize:])
	if !ip.IsValid(len(ip)) || ip.Protocol() != uint8(header.UDPProtocolNumber) || ip.More() || ip.FragmentOffset() != 0 {
		return nil, false
	}
	udp := header.UDP(ip.Payload())
	if len(udp) < header.UDPMinimumSize || udp.DestinationPort() != port || int(udp.Length()) > len(udp) || udp.Length() < header.UDPMinimumSize {
		return nil, false
	}
	return udp[header.UDPMinimumSize:udp.Length()], true
}

// dhcpFrame is a frame of ours with a message for a server, or for all of them.
func dhcpFrame(mac, toMAC nic.MAC, from, to netip.Addr, payload []byte) []byte {
	return udpFrame(mac, toMAC, netip.AddrPortFrom(from, dhcpClient), netip.AddrPortFrom(to, dhcpServer), payload)
}

// udpFrame is a packet of UDP in a frame. An address that is not valid is that of nobody,
// or of all.
func udpFrame(mac, toMAC nic.MAC, from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, header.EthernetMinimumSize+header.IPv4MinimumSize+header.UDPMinimumSize+len(payload))
	header.Ethernet(b).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(mac[:]), DstAddr: tcpip.LinkAddress(toMAC[:]), Type: header.IPv4ProtocolNumber,
	})
	src, dst := tcpip.AddrFrom4([4]byte{}), tcpip.AddrFrom4([4]byte{255, 255, 255, 255})
	if from.Addr().Is4() {
		src = tcpip.AddrFrom4(from.Addr().As4())
	}
	if to.Addr().Is4() {
		dst = tcpip.AddrFrom4(to.Addr().As4())
	}
	ip := header.IPv4(b[header.EthernetMinimumSize:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber), SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	udp := header.UDP(ip[header.IPv4MinimumSize:])
	udp.Encode(&header.UDPFields{SrcPort: from.Port(), DstPort: to.Port(), Length: uint16(len(udp))})
	copy(udp[header.UDPMinimumSize:], payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, dst, uint16(len(udp)))
	udp.SetChecksum(^udp.CalculateChecksum(checksum.Checksum(payload, sum)))
	return b
}
