// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestPrivateNetwork has Linux guests in private networks: two in one ping each other, have
// a TCP transfer, a firewall and a VLAN; one in another network sees nothing of them; and one
// is destroyed while it sends.
func TestPrivateNetwork(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	h.ok("nics") // when their drivers have what they need
	free := h.free()
	h.ok("network-create lab")
	const guest = "create kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz cmdline=console=ttyS0 memory=128MiB "
	h.ok(guest + "name=a nic=private:lab nic=private:lab,vlan=7,mtu=9000")
	h.ok(guest + `name=b vcpus=2 nic="private:lab,rule=allow in icmp,rule=allow in tcp 5000,rule=default deny in,rate_out=1GiB"` + " nic=private:lab,trunk=7,trunk=8,mtu=9000")
	h.ok(guest + "name=c nic=private:other nic=private:lab,vlan=9")
	h.fails(guest+"-n name=x nic=bridge:net9", `nic 1: network: this machine has no network card "net9"`)
	h.fails(guest+"-n name=x"+strings.Repeat(" nic=private:lab", 7), "nic: 7 are too many: at most 6")
	h.fails("network-destroy lab", "is in the network private:lab")
	for i, name := range []string{"a", "b", "c"} {
		h.attach(name)
		h.shell()
		h.sh(fmt.Sprintf("ifconfig eth0 10.9.0.%d netmask 255.255.255.0; ifconfig eth1 10.9.7.%d netmask 255.255.255.0", i+1, i+1))
		h.detach()
	}
	h.attach("b")
	if got := h.sh("ping -c 2 10.9.0.1"); strings.Count(got, "bytes from") != 2 {
		t.Errorf("ping: %s", got)
	}
	wantSh(h, "ping -c 1 -w 3 10.9.7.1 >/dev/null || echo silence", "silence") // it has no tag
	h.sh("nc -l -p 5000 >/tmp/got & true")
	h.detach()
	h.attach("a")
	const size = 8 << 20
	sum := h.sh(fmt.Sprintf("head -c %d /dev/urandom >/tmp/p; nc 10.9.0.2 5000 </tmp/p; sha256sum </tmp/p", size))
	h.detach()
	h.attach("b")
	wantSh(h, "wait; sha256sum </tmp/got", sum)
	h.sh("rm /tmp/got; nc -l -p 5001 >/tmp/got & true") // which its rules are against
	h.detach()
	h.attach("a")
	wantSh(h, "nc -w 2 10.9.0.2 5001 </tmp/p 2>/dev/null || echo silence", "silence")
	h.detach()
	h.attach("c")
	wantSh(h, "for a in 10.9.0.1 10.9.0.2 10.9.7.1 10.9.7.2; do ping -c 1 -w 2 $a >/dev/null && echo $a; done; echo nobody else", "nobody else")
	wantSh(h, "dmesg | grep -i -E 'bug:|call trace|virtio_net.*error' | wc -l", "0")
	h.detach()
	list := h.ok("network-list -v")
	for _, want := range []string{
		`(?m)^private:lab +a\.0 +52:54:00:\S+ +1500 +- up +\d{2,} +\d{4,}$`, `(?m)^private:lab +b\.1 +\S+ +9000 +7,8 up `, `(?m)^private:other +c\.0 `,
		`(?m)^\trules allow in icmp; allow in tcp 5000; default deny in\n\tlimit of what is sent 1GiB/s\n(\t.*\n){2}\tboth ways [1-9]\d* denied by rules, 0 beyond`,
	} {
		if !regexp.MustCompile(want).MatchString(list) {
			t.Errorf("network-list: %s\ndoes not have %s", list, want)
		}
	}
	h.ok("network-link a.0 down")
	h.attach("a")
	wantSh(h, "while [ $(cat /sys/class/net/eth0/carrier) != 0 ]; do :; done; echo down", "down")
	h.detach()
	h.ok("network-link a.0 up")
	destroySender(h, "b", "10.9.0.1", "b.0")
	for _, name := range []string{"a", "c"} {
		h.ok("destroy " + name)
	}
	h.ok("network-destroy lab")
	if got := h.ok("network-list"); strings.Contains(got, "private:") {
		t.Errorf("networks without anybody: %s", got)
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the guests", got, free)
	}
	h.poweroff()
}

// TestGuestNetwork has Linux guests in the network default: each has an address by DHCP,
// reaches the gateway and, by NAT, a server of this host, whose file comes whole; this host
// reaches a guest by a port that is forwarded; cards are plugged into a guest and taken out
// of it; a guest is destroyed while it fetches.
func TestGuestNetwork(t *testing.T) {
	t.Parallel()
	data := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(data)
	port, outside := serve(t, data), freePort(t)
	h := boot(t, emu.Config{MemMiB: 1024, NIC: emu.VirtioNIC, Forwards: []string{fmt.Sprintf("%d:8080", outside)}})
	h.says("ip", `(?m)^\t10\.0\.2\.15/24 \(DHCP\)$`)
	free := h.free()
	h.ok("create demo.toml name=a memory=128MiB") // whose file has the network default
	h.ok("create name=b kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz cmdline=console=ttyS0 memory=128MiB nic=default,forward=tcp:8080:80")
	h.fails("create -n demo.toml name=x nic=forward=tcp:8080:81", "forward: tcp port 8080 leads to card b.0: choose another port")
	for _, name := range []string{"a", "b"} {
		h.attach(name)
		h.shell()
		wantSh(h, "ifconfig eth0 | grep -c 'inet addr:10.77.0.'", "1")
		wantSh(h, "ping -c 1 10.77.0.1 | grep -c 'bytes from'", "1")
		h.detach()
	}
	h.attach("a")
	sum := fmt.Sprintf("%x  -", sha256.Sum256(data))
	wantSh(h, fmt.Sprintf("wget -q -O - http://10.0.2.2:%d/%d | sha256sum", port, len(data)), sum)
	h.detach()
	h.attach("b")
	wantSh(h, "ping -c 1 a | grep -c 'bytes from'", "1") // by the name of its domain
	h.sh("echo from-the-guest >/tmp/page; httpd -h /tmp")
	h.detach()
	r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/page", outside))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != "from-the-guest\n" {
		t.Errorf("by the forwarded port: %q, %v", b, err)
	}
	r.Body.Close()
	for _, how := range []string{"", "-F "} {
		plugCard(h, "b", how, fmt.Sprintf("wget -q -O - http://10.0.2.2:%d/%d", port, len(data)), sum)
	}
	leases := h.ok("leases")
	if n := len(regexp.MustCompile(`(?m)^10\.77\.0\.\d+ +52:54:00:\S+ yes +[ab]$`).FindAllString(leases, -1)); n != 2 {
		t.Errorf("leases: %s", leases)
	}
	h.attach("a")
	h.sh(fmt.Sprintf("(while :; do wget -q -O /dev/null http://10.0.2.2:%d/%d; done) >/dev/null 2>&1 & true", port, len(data)))
	h.detach()
	h.ok("destroy a")
	h.ok("destroy b")
	if got := h.ok("leases"); strings.Contains(got, "10.77.0.") {
		t.Errorf("leases of nobody: %s", got)
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the guests", got, free)
	}
	h.poweroff()
}

// plugCard plugs a card into a guest that has one in the network default, has it fetch by
// that one alone, and takes it away while it does so again.
func plugCard(h *host, name, how, fetch, sum string) {
	h.t.Helper()
	h.ok("network-attach " + name + " network=default mtu=1400")
	h.attach(name)
	h.sh("until [ -e /sys/class/net/eth1 ]; do sleep 0.1; done; ifconfig eth0 down; ifconfig eth1 up; udhcpc -n -q -t 100 -T 1 -i eth1 >/dev/null 2>&1")
	wantSh(h, "cat /sys/class/net/eth1/mtu", "1400")
	wantSh(h, fetch+" | sha256sum", sum)
	h.sh("(while [ -e /sys/class/net/eth1 ]; do " + fetch + "; done) >/dev/null 2>&1 & true")
	h.detach()
	card := `(?m)^default +` + name + `\.1 `
	h.says("network-list "+name, card)
	h.unplug("network-detach " + how + name + " " + name + ".1")
	if got := h.ok("network-list"); regexp.MustCompile(card).MatchString(got) {
		h.t.Errorf("%sthe card is still there: %s", how, got)
	}
	h.attach(name)
	h.sh("while [ -e /sys/class/net/eth1 ]; do sleep 0.1; done; ifconfig eth0 up; route add default gw 10.77.0.1")
	wantSh(h, "ping -c 1 10.77.0.1 | grep -c 'bytes from'", "1")
	h.quiet()
	h.detach()
}

// freePort is a port of this host that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// wantSh types a command into the guest's shell, and compares what it prints.
func wantSh(h *host, command, want string) {
	h.t.Helper()
	if got := strings.TrimSpace(h.sh(command)); got != want {
		h.t.Errorf("%s: %q, want %q", command, got, want)
	}
}

// destroySender destroys a guest while it sends to an address as fast as it can.
func destroySender(h *host, name, to, card string) {
	h.t.Helper()
	sent := func() string {
		m := regexp.MustCompile(`(?m)^\S+ +` + regexp.QuoteMeta(card) + ` .* (\d+)$`).FindStringSubmatch(h.ok("network-list"))
		if m == nil {
			h.t.Fatalf("network-list has no %s", card)
		}
		return m[1]
	}
	h.attach(name)
	h.sh("(while :; do ping -A -q -s 1400 " + to + "; done) >/dev/null 2>&1 & true")
	h.detach()
	for was := sent(); sent() == was; {
	}
	h.ok("destroy " + name)
	h.fails("network-list "+name, "does not exist")
}
