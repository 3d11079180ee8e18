// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/emu"
)

// TestNetwork has a virtio device, an 82574L and an 82540EM, each on a network of its
// own. Each gets an address by DHCP, and the gateway answers; files come over each of
// them, whole; a cable is taken out and put in again; and a kernel that was fetched
// starts a domain, which has the time that NTP has set.
func TestNetwork(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"net0": 64 << 20, "net1": 4 << 20, "net2": 4 << 20}
	data := make([]byte, sizes["net0"])
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	port := serve(t, data)
	const year = 2033
	// The longest file is kept in dom0's memory as a whole.
	h := boot(t, emu.Config{MemMiB: 512, HVArgs: fmt.Sprintf("dom0_mem=128M ntp=10.0.2.2:%d", serveTime(t, year)), Args: []string{
		"-netdev", "user,id=a", "-device", "virtio-net-pci,netdev=a,id=ca,addr=4,romfile=",
		"-netdev", "user,id=b,net=10.0.3.0/24", "-device", "e1000e,netdev=b,id=cb,addr=5,romfile=",
		"-netdev", "user,id=c,net=10.0.4.0/24", "-device", "e1000,netdev=c,id=cc,addr=6,romfile=",
	}})
	for i, model := range []string{"virtio", "Intel 82574L", "Intel 82540EM"} {
		name, gateway := fmt.Sprintf("net%d", i), fmt.Sprintf("10.0.%d.2", i+2)
		h.says("ip", fmt.Sprintf(`(?ms)^%s\n(\t[^\n]*\n)*\t10\.0\.%d\.15/24 \(DHCP\)\n(\t[^\n]*\n)*\trouter (fe80::2, )?%s`, name, i+2, regexp.QuoteMeta(gateway)))
		if got := h.ok("ping -c 2 " + gateway); !strings.Contains(got, "56 bytes from "+gateway) {
			t.Errorf("%s: %s", name, got)
		}
		size := sizes[name]
		want := fmt.Sprintf("net:%s: %d bytes, sha256 %x", name, size, sha256.Sum256(data[:size]))
		if got := h.ok(fmt.Sprintf("fetch http://%s:%d/%d %s", gateway, port, size, name)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		h.ok("fetch -d " + name)
		if got := h.ok("nics"); !regexp.MustCompile(`(?m)^` + name + ` +52:54:00:[0-9a-f:]+ +(up|1000 Mb/s) +1500 +[0-9]+ +[0-9]+  ` + model + `$`).MatchString(got) {
			t.Errorf("nics:\n%s", got)
		}
		h.interrupts(name, 10)
		card := "c" + string(rune('a'+i))
		h.link(card, false)
		h.says("nics", `(?m)^`+name+` .* no link `)
		h.link(card, true)
		h.says("nics", `(?m)^`+name+` .* (up|1000 Mb/s) `)
		h.says("ping -c 1 "+gateway, `1 received`)
	}
	h.fails(fmt.Sprintf("fetch http://10.0.2.2:%d/none x", port), "the server says 404 Not Found")
	// The clock of a machine that has just been started is this host's.
	if got := h.ok("ntp -s"); dom0Clock && !strings.HasPrefix(got, fmt.Sprintf("time     %d-", year)) {
		t.Errorf("ntp -s:\n%s", got)
	}
	h.ok(fmt.Sprintf("fetch http://10.0.2.2:%d/kernel micro.elf", port))
	if got := h.ok("files"); !strings.Contains(got, "net:micro.elf") {
		t.Errorf("files:\n%s", got)
	}
	h.ok(`create name=g kernel=net:micro.elf cmdline="mode=boot" memory=4MiB`)
	h.attach("g")
	h.wall(year)
	h.detach()
	h.ok("destroy g")
	h.ok(fmt.Sprintf(`create name=w kernel=http://10.0.2.2:%d/kernel cmdline="mode=echo" memory=4MiB`, port))
	h.ok("destroy w")
	h.fails(fmt.Sprintf("create name=w kernel=http://10.0.2.2:%d/none", port), "is not on its server")
	h.poweroff()
	if text := h.Transcript(); strings.Contains(text, "resetting it") || strings.Contains(text, "panic") || strings.Contains(text, "every millisecond") {
		t.Error("a card did not work well")
	}
}

// interrupts asserts that a card has interrupted, so many times at least: a driver that
// asks its card counts none, but for its start.
func (h *host) interrupts(name string, least int) {
	h.t.Helper()
	got := h.ok("nics -v")
	m := regexp.MustCompile(`(?m)^` + name + ` .*\n(?:\t.*\n)*?\tlink changes \d+, interrupts (\d+),`).FindStringSubmatch(got)
	n := 0
	if m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	if n < least {
		h.t.Errorf("%s has too few interrupts:\n%s", name, got)
	}
}

// serve is an HTTP server of this host: /N are the first N bytes of data.
func serve(t *testing.T, data []byte) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		switch _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); {
		case err == nil && n <= len(data):
			w.Header().Set("Content-Length", fmt.Sprint(n))
			_, _ = w.Write(data[:n])
		case r.URL.Path == "/kernel":
			http.ServeContent(w, r, "kernel", time.Time{}, bytes.NewReader(guest.Build().ELF()))
		default:
			http.NotFound(w, r)
		}
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// serveTime is an NTP server of this host (RFC 5905, "Packet Header Variables"), which has
// the date of another year.
func serveTime(t *testing.T, year int) (port int) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	stamp := func(b []byte) {
		now := time.Now().UTC()
		now = now.AddDate(year-now.Year(), 0, 0)
		binary.BigEndian.PutUint32(b, uint32(now.Unix()+2208988800)) // since 1900
		binary.BigEndian.PutUint32(b[4:], uint32(uint64(now.Nanosecond())<<32/1e9))
	}
	go func() {
		b := make([]byte, 48)
		for {
			n, from, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			if n < len(b) {
				continue
			}
			copy(b[24:32], b[40:48])
			b[0], b[1], b[2], b[3] = 4<<3|4, 1, 6, 0xe9 // version 4, a server; its own clock
			clear(b[4:12])
			copy(b[12:16], "TEST")
			for _, at := range []int{16, 32, 40} {
				stamp(b[at:])
			}
			_, _ = c.WriteToUDP(b, from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// says types a command until its answer matches, or fails.
func (h *host) says(command, pattern string) {
	h.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(verbTime); ; time.Sleep(100 * time.Millisecond) {
		got := h.do(command)
		if re.MatchString(got) {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("%s never says %s:\n%s", command, pattern, got)
		}
	}
}

// link takes the cable of a card out, or puts it in.
func (h *host) link(card string, up bool) {
	h.t.Helper()
	state := "off"
	if up {
		state = "on"
	}
	if text, err := h.Monitor.HMP("set_link " + card + " " + state); err != nil || strings.TrimSpace(text) != "" {
		h.t.Fatalf("set_link %s: %q, %v", card, text, err)
	}
}
