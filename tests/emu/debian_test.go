// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ringo/tools/debian"
	"ringo/tools/demo"
	"ringo/tools/emu"
)

// serverFiles are made when the first test wants them.
var serverFiles = sync.OnceValues(func() (demo.Server, error) { return built.Files.Server(os.Stderr, "nvme0n1") })

// What is copied of the server's second disk: to a file, and all of it to a third disk.
const (
	serverFile = 64 << 20
	serverCopy = 256 << 20
)

// TestDebian boots a Debian with systemd from a disk of the machine to its login, on each
// kind of controller, has it copy data, and destroys it while it writes: its file system is
// whole then.
func TestDebian(t *testing.T) {
	t.Parallel()
	for name, bus := range map[string]emu.Bus{"nvme": emu.NVMe, "ahci": emu.AHCI, "virtio": emu.Virtio} {
		t.Run(name, func(t *testing.T) {
			if bus != emu.NVMe && !*long {
				t.Skip("takes minutes each: make test-long")
			}
			t.Parallel()
			testDebian(t, bus)
		})
	}
}

func testDebian(t *testing.T, bus emu.Bus) {
	s, err := serverFiles()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.img")
	program(t, "", "cp", "--sparse=always", s.Disk, root)
	data, sum := randomDisk(t, serverCopy)
	c := emu.Config{MemMiB: 1024, DiskBus: bus, Disks: []string{root, data, emptyDisk(t, "copy.img", serverCopy)}}
	var names []string
	for i := range c.Disks {
		name, err := c.DiskName(i)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	config := filepath.Join(t.TempDir(), "server.toml")
	if err := os.WriteFile(config, []byte(demo.ServerConfig(names[0])), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Modules = append([]emu.Module{{Name: "dom0", Path: built.Dom0}}, emu.Modules(built.Files.Vmlinux, s.Initrd, config)...)
	h := boot(t, c)
	// On a busy machine no service is late.
	h.ok("create server.toml cmdline=\"console=ttyS0 quiet root=/dev/vda1 systemd.service_watchdogs=0 udev.event_timeout=3600\" disk=" +
		names[1] + ",readonly disk=" + names[2])
	h.attach("server")
	h.login()
	h.checkServer(sum)
	h.sh("dd if=/dev/vdb of=/dev/vdc bs=1M oflag=direct conv=fsync 2>/dev/null")
	h.destroyBusy(names[0])
	h.poweroff()
	checkRoot(t, root)
	sameFiles(t, data, c.Disks[2])
}

// randomDisk makes a disk of random bytes, and returns the hash of what is copied to a
// file.
func randomDisk(t *testing.T, size int) (file, sum string) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("data of %d", seed)
	b := make([]byte, size)
	var key [32]byte
	key[0], key[1], key[2], key[3] = byte(seed), byte(seed>>8), byte(seed>>16), byte(seed>>24)
	rand.NewChaCha8(key).Read(b)
	file = filepath.Join(t.TempDir(), "data.img")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file, fmt.Sprintf("%x", sha256.Sum256(b[:serverFile]))
}

// login waits, attached, for the server's login, and logs in.
func (h *host) login() {
	h.t.Helper()
	h.see(guestTime, demo.ServerLogin)
	h.key("root\r")
	h.see(guestTime, demo.ServerShell)
}

// checkServer looks at a server whose console is attached, and has it copy the start of
// its second disk to a file, whose hash must be sum.
func (h *host) checkServer(sum string) {
	h.t.Helper()
	copied := h.sh(fmt.Sprintf("head -c %d /dev/vdb > copy; sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum < copy", serverFile))
	if !strings.Contains(copied, sum) {
		h.t.Errorf("a copy of what has the hash %s: %q", sum, copied)
	}
	for _, c := range [][2]string{
		{"cat /proc/1/comm", "systemd"},
		{"findmnt -no SOURCE,FSTYPE /", "/dev/vda1 ext4"},
		{"ls /dev/disk/by-id | grep -c server", "2"}, // the disk, and its partition
		{"until ip -4 -o addr show scope global | grep -q ' 10[.]77[.]0[.]'; do sleep 1; done; ping -c 1 10.77.0.1 | grep -c 'bytes from'", "1"},
		{"SYSTEMD_BUS_TIMEOUT=1h systemctl --failed --no-legend | wc -l", "0"},
		{"dmesg | grep -i -E 'i/o error|bug:|ext4-fs error' | wc -l", "0"},
	} {
		if got := strings.TrimSpace(h.sh(c[0])); got != c[1] {
			h.t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
}

// busyWriter makes, renames and removes files without end.
const busyWriter = `(i=0; while :; do i=$((i+1)); mkdir -p w$((i%5)); head -c 1500000 /dev/vdb > w$((i%5))/new; ` +
	`mv w$((i%5))/new w$((i%5))/f$((i%7)); [ $((i%3)) = 0 ] && sync; [ $((i%11)) = 0 ] && rm -r w$((i%4)); done) >/dev/null 2>&1 &`

// destroyBusy destroys the server whose console is attached while it writes its files.
func (h *host) destroyBusy(disk string) {
	h.t.Helper()
	h.sh(busyWriter + " true")
	h.detach()
	wrote := regexp.MustCompile(`(?m)^` + disk + ` +\d+ +rw +server +\d+ +\d+ +(\d+) `)
	count := func() int {
		g := wrote.FindStringSubmatch(h.ok("block-list server"))
		if g == nil {
			h.t.Fatal("block-list does not show ", disk)
		}
		n, err := strconv.Atoi(g[1])
		if err != nil {
			h.t.Fatal(err)
		}
		return n
	}
	for first := count(); count() < first+8000; {
	}
	h.ok("destroy server")
}

// checkRoot checks the file system of a disk: what its journal has is put in its place, as
// is done when it is mounted, and then there is nothing to mend.
func checkRoot(t *testing.T, file string) {
	t.Helper()
	disk, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	part, err := os.Create(filepath.Join(t.TempDir(), "part.img"))
	if err != nil {
		t.Fatal(err)
	}
	start, size := debian.RootPartition(demo.ServerSize)
	_, err = io.Copy(part, io.NewSectionReader(disk, start, size))
	if err := errors.Join(err, part.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		how  string
		most int // exit status: 1 is that the journal was needed
	}{{"-fp", 1}, {"-fn", 0}} {
		cmd := exec.Command("e2fsck", c.how, part.Name())
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > c.most || cmd.ProcessState.ExitCode() < 0 {
			t.Errorf("e2fsck %s: %v\n%s", c.how, err, out)
		}
	}
}

// sameFiles compares files.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	var sums [2][sha256.Size]byte
	for i, name := range []string{a, b} {
		all, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = sha256.Sum256(all)
	}
	if sums[0] != sums[1] {
		t.Errorf("%s is not a copy of %s", b, a)
	}
}
